"""What every Python rig does alike; see rig.mjs."""
import argparse
import json
import os
import signal
import socket
import stat
import sys
import threading


def parser(about):
    options = argparse.ArgumentParser(description=about)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--stay", action="store_true", help="outlive stdin")
    return options


def free_port():
    """For servers that cannot tell which port they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own_stdout():
    """Stdout belongs to the one JSON line; what libraries print goes to stderr."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def ready(options, out, facts):
    """Says that the rig is ready and waits for its end, which is immediate: nothing here outlives the process."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0
    if not options.stay and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        def watch():
            while os.read(0, 4096):
                pass
            os._exit(0)
        threading.Thread(target=watch, daemon=True).start()
    out.write(json.dumps(facts) + "\n")
    out.flush()
    threading.Event().wait()
