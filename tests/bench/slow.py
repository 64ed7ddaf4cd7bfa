"""What a slow API costs, and what a huge document costs.

    tests/rigs/.venv/bin/python tests/bench/slow.py [--haul target/release/haul] [--pages 200] [--gigabytes 2]

Prints, for an API that takes 200 ms a page: the wall time of a walk in turn over the sum of the answers' times, and over
the wall time with 8 pages in flight. For one JSON document of so many gigabytes: rows, wall time and peak memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

SIZE = 100
WAIT = 0.2
RECORD = json.dumps({"id": 0, "name": "x" * 60, "amount": 12.5, "at": "2024-01-31T12:00:00Z", "note": "y" * 300})

arguments = argparse.ArgumentParser()
arguments.add_argument("--haul", default="target/release/haul")
arguments.add_argument("--pages", type=int, default=200)
arguments.add_argument("--gigabytes", type=float, default=2)
option = arguments.parse_args()
answers = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; the second must not wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        began = time.monotonic()
        url = urlparse(self.path)
        if url.path == "/large":
            return self.large()
        offset = int(parse_qs(url.query).get("offset", ["0"])[0])
        total = option.pages * SIZE
        rows = [{"id": row, "name": f"n{row}"} for row in range(offset, min(offset + SIZE, total))]
        time.sleep(WAIT)
        body = json.dumps({"total": total, "rows": rows}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        answers.append(time.monotonic() - began)

    def large(self):
        block = (",".join([RECORD] * 2000)).encode()
        blocks = int(option.gigabytes * 1e9 / (len(block) + 1))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        length = len(b'{"rows":[') + blocks * (len(block) + 1) - 1 + len(b'],"next":null}')
        self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(b'{"rows":[')
        for at in range(blocks):
            self.wfile.write(block if at == 0 else b"," + block)
        self.wfile.write(b'],"next":null}')


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_address[1]}"


def run(stream, limits=""):
    """Wall seconds, peak bytes and the report of one run."""
    with tempfile.TemporaryDirectory() as folder:
        job = os.path.join(folder, "job.yaml")
        with open(job, "w") as file:
            file.write(f"job: bench\nsource:\n  base_url: {base}\n{limits}streams:\n  - {stream}\n"
                       f"destination: {{ url: {folder}/out }}\npublish: {{ alias: false }}\n")
        env = {**os.environ, "HAUL_STATE": os.path.join(folder, "state")}
        began = time.monotonic()
        child = subprocess.Popen([option.haul, "run", job, "--json"], env=env, stdout=subprocess.PIPE)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(output.decode())
        return time.monotonic() - began, usage.ru_maxrss * 1024, json.loads(output)


paging = "paging: { offset: { size: %d, total: total%s } }"
turn = "{ name: items, path: /items, records: rows, " + paging % (SIZE, "") + " }"
ahead = "{ name: items, path: /items, records: rows, " + paging % (SIZE, ", parallel: true") + " }"
# Once before it counts: the machine's caches.
run(turn)
answers.clear()
wall, _, report = run(turn)
waited = sum(answers)
assert report["tables"]["items"]["rows"] == option.pages * SIZE
print(f"{option.pages} pages in turn: wall {wall:.2f} s, the answers' own time {waited:.2f} s, {100 * (wall / waited - 1):.1f} % above")
parallel, _, report = run(ahead, "  limits: { in_flight: 8 }\n")
assert report["tables"]["items"]["rows"] == option.pages * SIZE
print(f"8 in flight: wall {parallel:.2f} s, {wall / parallel:.1f} times as fast")
if option.gigabytes > 0:
    wall, peak, report = run("{ name: large, path: /large, records: rows, paging: { next_url: next } }")
    rows = report["tables"]["large"]["rows"]
    read = report["source"]["bytes"]
    print(f"one document of {read / 1e9:.2f} GB: {rows:,} rows, {wall:.1f} s, peak memory {peak / 1e6:.0f} MB")
