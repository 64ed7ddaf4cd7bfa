"""An S3 service (moto) with the bucket `haul`. It checks conditional puts, but neither signatures nor expiry. With `--key ID:SECRET` every
request that names no `Authorization` needs a presigned address, whose signature must be the one that Amazon's own library makes, and
which must not be over.

    s3.py [--key ID:SECRET] [--stay]
    s3.py --url URL --get KEY --to FILE      fetches an object with Amazon's own library
"""

import argparse
import json
import logging
import signal
import sys
import threading
import urllib.request

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.s3.responses import S3Response
from moto.server import DomainDispatcherApplication, ThreadedMotoServer


def put_one_at_a_time():
    """S3 compares and puts in one step. moto's threads do so in two, between which another put may come."""
    lock, put = threading.Lock(), S3Response.put_object

    def put_alone(self):
        with lock:
            return put(self)

    S3Response.put_object = put_alone


def check_presigned(key):
    """Refuses who shows neither a login nor a good presigned address."""
    own, secret = key.split(":")
    dispatch, lock = DomainDispatcherApplication.__call__, threading.Lock()

    def wrong_with(environ):
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        if "X-Amz-Signature" not in query:
            return "no signature"
        made = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        if datetime.now(timezone.utc) > made + timedelta(seconds=int(query["X-Amz-Expires"])):
            return "it is over"
        given, _, region, _, _ = query["X-Amz-Credential"].split("/")
        path = quote(environ["PATH_INFO"], safe="/~")
        request = AWSRequest(environ["REQUEST_METHOD"], f"http://{environ['HTTP_HOST']}{path}", headers={"host": environ["HTTP_HOST"]})
        signer = botocore.auth.S3SigV4QueryAuth(Credentials(given, secret), "s3", region, expires=int(query["X-Amz-Expires"]))
        with lock:
            now, botocore.auth.get_current_datetime = botocore.auth.get_current_datetime, lambda *_: made.replace(tzinfo=None)
            try:
                signer.add_auth(request)
            finally:
                botocore.auth.get_current_datetime = now
        expected = dict(parse_qsl(request.url.split("?", 1)[1]))["X-Amz-Signature"]
        return None if given == own and expected == query["X-Amz-Signature"] else "another signature"

    def checked(self, environ, start_response):
        wrong = None if "HTTP_AUTHORIZATION" in environ else wrong_with(environ)
        if wrong:
            start_response("403 Forbidden", [("content-type", "text/plain")])
            return [wrong.encode()]
        return dispatch(self, environ, start_response)

    DomainDispatcherApplication.__call__ = checked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--key")
    parser.add_argument("--url")
    parser.add_argument("--get")
    parser.add_argument("--to")
    args = parser.parse_args()
    if args.get:
        client = boto3.client("s3", endpoint_url=args.url, region_name="us-east-1",
                              aws_access_key_id="reader", aws_secret_access_key="reader")
        client.download_file("haul", args.get, args.to)
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    put_one_at_a_time()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/haul", method="PUT")).read()
    if args.key:
        check_presigned(args.key)
    print(json.dumps({"url": url}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if args.stay:
        signal.pause()
    sys.stdin.read()


if __name__ == "__main__":
    main()
