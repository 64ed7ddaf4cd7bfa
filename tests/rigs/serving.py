"""What the rigs share that serve the SQLite file of `shop.py`: options, the page `/_truth`, and the one line that says a rig
is ready."""

import argparse
import asyncio
import json
import logging
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

import uvicorn

import shop


def told_the_truth(application, path, has_booleans):
    """The ASGI application with the page `/_truth` before it."""

    async def outer(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/_truth":
            return await application(scope, receive, send)
        body = json.dumps(await asyncio.to_thread(shop.truth, path, has_booleans)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return outer


def serve(document, application_of, has_booleans):
    """Makes the file, serves `application_of(path)`, and ends at SIGTERM or with its standard input."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stay", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        path = Path(folder) / "shop.db"
        shop.make(path)
        application = told_the_truth(application_of(path), path, has_booleans)
        # It listens before the server does: who comes early waits, and is not refused.
        listener = socket.create_server(("127.0.0.1", args.port))
        # It warns of clients that leave before the end of an answer.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
        threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True).start()
        print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if args.stay:
            signal.pause()
        sys.stdin.read()
