"""Google Cloud Storage as gcp-storage-emulator does it, with the bucket `haul`. It ignores the conditions of a write, which
is what it is here for: haul must refuse to keep its state there.

    gcs.py [--stay]
"""

import argparse
import json
import logging
import signal
import socket
import sys

from gcp_storage_emulator.server import create_server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stay", action="store_true")
    args = parser.parse_args()
    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="haul")
    server.start()
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    signal.signal(signal.SIGTERM, lambda *_: (server.stop(), sys.exit(0)))
    if args.stay:
        signal.pause()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
