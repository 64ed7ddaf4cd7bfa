#!/usr/bin/env python3
"""How long it takes to begin, and how much memory: haul beside its peers and beside the servers of tests/rigs, in one run on
this machine. Nothing fails on a figure, only on a wrong outcome.

    tests/rigs/install && tests/bench/install && cargo build --release
    tests/bench/cold.py

What a scheduler starts again and again: nothing is due, nothing changed. Interpreters and imports count: they are what a
scheduled script pays every time. What stays: from the start to the first sign of being ready.

`again` is the median of the rounds, with the files in the machine's memory; `first` the median of runs before which the
kernel was asked to forget the program's own files (haul's binary, the peer's packages): the first start on a node, as far as
one may measure it beside others. Memory is the peak of the process (/usr/bin/time), of servers the peak until they were ready,
of all their processes.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))
import contenders as them
from records import generate_pages
from server import free_port, serving

ROOT = Path(__file__).resolve().parents[2]
RIGS = ROOT / "tests/rigs"
TIME = Path("/usr/bin/time")
RECORDS = 100
JOBS = [1, 100]
FIRSTS = 3
READY_SECONDS_MAX = 60


def forget(files):
    """Asks the kernel to drop what it holds of these files in memory. What another process has mapped stays."""
    for file in files:
        try:
            handle = os.open(file, os.O_RDONLY)
        except OSError:
            continue
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def files_below(*folders):
    return [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]


def wall(command, **options):
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, **options)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr.decode()[:2000]}")
    return seconds, done.stdout + done.stderr


def peak(command, **options):
    """Peak memory in MB. By a small program, because a child begins with the peak of whoever forks it, and we are no small one."""
    with tempfile.NamedTemporaryFile() as told:
        wall([TIME, "--format", "%M", "--output", told.name, *command], **options)
        return int(Path(told.name).read_text()) / 1024


def job(folder, name, url, path, out):
    file = folder / f"{name}.yaml"
    file.write_text(f"job: {name}\nsource: {{ base_url: \"{url}\" }}\nstreams:\n  - name: items\n    path: {path}/0.json\n"
                    f"    records: data\n    paging: {{ next_url: next }}\ndestination: {{ url: {out} }}\n"
                    f"schedule: {{ cron: \"0 0 1 1 *\", timezone: UTC }}\n")
    return file


def runs(case, haul, work):
    """By name: the command, its options, its own files, and what it must have said."""
    python, peers = them.PYTHON, them.HERE / "peers.py"
    packages = python.parents[1] / "lib"
    env = {**os.environ, "HAUL_STATE": str(work / "state")}
    plan = job(work, "cold", case.base, case.path, work / "out")
    first = json.loads(wall([haul, "run", plan, "--json", "--quiet"], env=env)[1])
    assert first["outcome"] == "published" and first["tables"]["items"]["rows"] == RECORDS, first
    # The first look at a schedule only remembers it.
    wall([haul, "run", plan, "--due"], env=env)
    ours, theirs = [haul], files_below(packages)
    rows = {
        "haul --version": ([haul, "--version"], {}, ours, b"haul "),
        "haul run --due, nothing is due": ([haul, "run", plan, "--due"], {"env": env}, ours, b"nothing is due"),
        "haul run, one page that did not change":
            ([haul, "run", plan, "--json", "--quiet"], {"env": env}, ours, b'"unchanged"'),
        "python, nothing": ([python, "-c", "pass"], {}, [], b""),
    }
    for name in ["requests", "duckdb", "pyarrow.parquet", "dlt"]:
        rows[f"python, import {name}"] = ([python, "-c", f"import {name}"], {}, theirs, b"")
    rows["duckdb, that page"] = ([python, peers, "duckdb-http", case.url, 1, work / "duckdb.parquet"], {}, theirs, b"")
    rows["requests and pyarrow, that page"] = ([python, peers, "requests", case.url, work / "r.parquet"], {}, theirs, b"")
    rows["dlt, that page"] = ([python, peers, "dlt", case.url, work / "dlt.parquet"], {}, theirs, b"")
    return rows


def show_runs(rows, rounds):
    print(f"\n{'a process that begins, works and ends':<44} {'again ms':>9} {'first ms':>9} {'peak MB':>8}")
    again = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (command, options, _, word) in rows.items():
            seconds, said = wall(command, **options)
            if word not in said:
                sys.exit(f"{name} did not say {word}: {said[:2000]}")
            again[name].append(seconds)
    for name, (command, options, own, _) in rows.items():
        first = []
        for _ in range(FIRSTS if own else 0):
            forget(own)
            first.append(wall(command, **options)[0])
        shown = f"{1000 * median(first):9.1f}" if first else f"{'':>9}"
        print(f"{name:<44} {1000 * median(again[name]):9.1f} {shown} {peak(command, **options):8.1f}", flush=True)


def descendants(pid):
    """The process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += descendants(int(child))
    return found


def peak_now(pid):
    total = 0
    for process in descendants(pid):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


def is_ready(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


def stays(command, ready_url=None, is_rig=False, **options):
    """Seconds until it is ready, peak memory by then, and seconds until it ended: a rig with its input, else by SIGTERM."""
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, **options)
    try:
        if ready_url:
            while not is_ready(ready_url):
                if process.poll() is not None or time.monotonic() - began > READY_SECONDS_MAX:
                    sys.exit(f"{command} is not ready")
                time.sleep(0.0005)
        elif not process.stdout.readline():
            sys.exit(f"{command} said nothing")
        ready = time.monotonic() - began
        memory = peak_now(process.pid)
        asked = time.monotonic()
        if not is_rig:
            process.send_signal(signal.SIGTERM)
        process.stdin.close()
        process.stdout.read()
        process.wait(READY_SECONDS_MAX)
        return ready, memory, time.monotonic() - asked
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def daemons(case, haul, work):
    """By name: what starts it, with a new port and state each time."""
    listens = b"--listen" in wall([haul, "serve", "--help"])[1]

    def daemon(count):
        folder = work / f"jobs-{count}"
        folder.mkdir()
        for number in range(count):
            job(folder, f"job{number}", case.base, case.path, work / "out")
        def start():
            state = Path(tempfile.mkdtemp(dir=work)) / "state"
            command, ready_url = [haul, "serve", folder, "--json"], None
            if listens:
                port = free_port()
                command += ["--listen", f"127.0.0.1:{port}"]
                ready_url = f"http://127.0.0.1:{port}/readyz"
            return stays(command, ready_url, env={**os.environ, "HAUL_STATE": str(state)})
        return start

    sign = "/readyz" if listens else "its first line"
    found = {f"haul serve, {count} job{'s' if count > 1 else ''}: {sign}": daemon(count) for count in JOBS}
    python = RIGS / ".venv/bin/python"

    def plain_http():
        port = free_port()
        return stays([python, "-m", "http.server", port, "--bind", "127.0.0.1"], f"http://127.0.0.1:{port}/", cwd=case.root)
    found["python -m http.server"] = plain_http
    for name, command in [("json-server", ["node", RIGS / "jsonserver.mjs"]), ("oidc-provider", ["node", RIGS / "oidc.mjs"]),
                          ("azurite", ["node", RIGS / "azurite.mjs"]), ("moto (S3)", [python, RIGS / "s3.py"])]:
        found[f"{name}, its rig: the line that says so"] = lambda command=command: stays(command, is_rig=True)
    return found


def show_daemons(rows, rounds):
    print(f"\n{'what stays, until it is ready':<44} {'ready ms':>9} {'peak MB':>8} {'ended ms':>9}")
    for name, start in rows.items():
        figures = [start() for _ in range(rounds)]
        ready, memory, ended = (median(column) for column in zip(*figures))
        print(f"{name:<44} {1000 * ready:9.1f} {memory:8.1f} {1000 * ended:9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--haul", type=Path, default=ROOT / "target/release/haul")
    args = parser.parse_args()
    for needed in [args.haul, them.PYTHON, TIME, RIGS / "node_modules", RIGS / ".venv"]:
        if not needed.exists():
            sys.exit(f"{needed} is missing: tests/rigs/install && tests/bench/install && cargo build --release")
    haul = args.haul.resolve()
    work = Path(tempfile.mkdtemp(prefix="haul-bench-"))
    try:
        version = wall([haul, "--version"])[1].decode().strip()
        print(f"{version}, {haul.stat().st_size / 2**20:.0f} MB; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f};"
              f" one page of {RECORDS} records, all on this disk")
        root = work / "pages"
        root.mkdir()
        with serving(root, work / "nginx") as base:
            case = them.Case(RECORDS, RECORDS, root, base, work)
            generate_pages(case.root, case.path, RECORDS, RECORDS)
            show_runs(runs(case, haul, work), args.rounds)
            show_daemons(daemons(case, haul, work), max(3, args.rounds // 2))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
