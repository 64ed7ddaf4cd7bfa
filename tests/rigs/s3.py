"""An S3 service (moto) with the bucket `haul`. It checks conditional puts, but neither signatures nor expiry.

    s3.py [--stay]
    s3.py --url URL --get KEY --to FILE      fetches an object with Amazon's own library
"""

import argparse
import json
import logging
import signal
import sys
import threading
import urllib.request

import boto3
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer


def put_one_at_a_time():
    """S3 compares and puts in one step. moto's threads do so in two, between which another put may come."""
    lock, put = threading.Lock(), S3Response.put_object

    def put_alone(self):
        with lock:
            return put(self)

    S3Response.put_object = put_alone


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stay", action="store_true")
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
    print(json.dumps({"url": url}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if args.stay:
        signal.pause()
    sys.stdin.read()


if __name__ == "__main__":
    main()
