"""An HTTP server whose pages are behind NTLM, by pyspnego. It authenticates connections, as
Windows does: the messages of one login must come over one connection, and what follows there needs none.

    ntlm.py [--stay]

`/_stats` tells how many logins ended well, and how many had a wrong proof, which is what locks accounts.
"""

import argparse
import base64
import json
import os
import signal
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import spnego

DOMAIN, USER, PASSWORD = "RIG", "reader", "canary-Ntlm-Pa55"
PAGES, ROWS = 3, 20
stats = {"passed": 0, "denied": 0}


def accept_what_came():
    """pyspnego packs the client's part of an NTLMv2 response anew and compares bytes, which refuses clients that leave out
    the four zeros at its end. A server computes the proof over the bytes that came (MS-NLMP 3.3.2), as we do here."""
    import hmac

    import spnego._ntlm as ntlm

    unpack, compute = ntlm.NTClientChallengeV2.unpack, ntlm.compute_response_v2
    came = threading.local()

    def keep(data, *args, **kwargs):
        came.temp = bytes(data)
        return unpack(data, *args, **kwargs)

    def over_what_came(nt_hash, server_challenge, *args):
        _, lm, _ = compute(nt_hash, server_challenge, *args)
        proof = hmac.digest(nt_hash, server_challenge + came.temp, "md5")
        return proof + came.temp, lm, hmac.digest(nt_hash, proof, "md5")

    ntlm.NTClientChallengeV2.unpack, ntlm.compute_response_v2 = staticmethod(keep), over_what_came


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One handler a connection: what is known of it stays with it.
    acceptor = None
    is_known = False

    def answer(self, status, body, challenge=None):
        content = json.dumps(body).encode()
        self.send_response(status)
        if challenge is not None:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def is_admitted(self):
        if self.is_known:
            return True
        given = self.headers.get("Authorization", "")
        if not given.startswith("NTLM "):
            self.answer(401, {"error": "who are you?"}, "NTLM")
            return False
        if self.acceptor is None:
            self.acceptor = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        try:
            reply = self.acceptor.step(base64.b64decode(given[len("NTLM "):]))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a login, it is refused
            self.acceptor = None
            stats["denied"] += "Invalid NTLM response" in str(error)
            self.answer(401, {"error": "the login is refused"}, "NTLM")
            return False
        if self.acceptor.complete:
            self.is_known = True
            stats["passed"] += 1
            return True
        self.answer(401, {"error": "go on"}, f"NTLM {base64.b64encode(reply).decode()}")
        return False

    def do_GET(self):
        if self.path == "/_stats":
            return self.answer(200, stats)
        if not self.is_admitted():
            return None
        page = int(self.path.removeprefix("/items").removesuffix(".json") or 1)
        data = [{"id": (page - 1) * ROWS + row} for row in range(ROWS)]
        return self.answer(200, {"data": data, "next": f"items{page + 1}.json" if page < PAGES else None})

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stay", action="store_true")
    args = parser.parse_args()
    accept_what_came()
    with tempfile.NamedTemporaryFile("w", suffix=".users") as users:
        users.write(f"{DOMAIN}:{USER}:{PASSWORD}\n")
        users.flush()
        os.environ["NTLM_USER_FILE"] = users.name
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        facts = {"url": url, "domain": DOMAIN, "user": USER, "password": PASSWORD, "rows": str(PAGES * ROWS)}
        print(json.dumps(facts), flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if args.stay:
            signal.pause()
        sys.stdin.read()


if __name__ == "__main__":
    main()
