"""Who is measured, how each is started, and how its work is checked.

Processor time, wall time and peak memory are the operating system's own account of the child process and its children.
Only the limit program counts for itself, because it first reads all pages into memory.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from records import page_count

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv/bin/python"
LIMIT = HERE / "limit/target/release/limit"


@dataclass
class Figures:
    wall: float
    cpu: float
    # Megabytes. None = it says nothing about the work.
    peak: float | None


@dataclass
class Case:
    """So many records in pages of this size, ready to be read."""

    rows: int
    size: int
    root: Path
    base: str
    work: Path

    @property
    def path(self):
        return f"/{self.rows}-{self.size}"

    @property
    def pages(self):
        return page_count(self.rows, self.size)

    @property
    def url(self):
        return f"{self.base}{self.path}/0.json"

    @property
    def lines(self):
        return self.root / f"{self.rows}.jsonl"


def measured(command, **options):
    """Figures of one process with all that it started, and its standard output."""
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        sys.exit(f"{command[0]} failed ({status}): {output.decode()[:2000]}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), output


def fresh(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def haul_job(case, name, out):
    job = case.work / f"{name}.yaml"
    job.write_text(f"job: bench\nsource: {{ base_url: \"{case.base}\" }}\nstreams:\n  - name: items\n"
                   f"    path: {case.path}/0.json\n    records: data\n    paging: {{ next_url: next }}\n"
                   f"destination: {{ url: {out} }}\npublish: {{ alias: false }}\n")
    return job


def haul_run(binary, job, state):
    figures, output = measured([binary, "run", job, "--json", "--quiet"], env={**os.environ, "HAUL_STATE": str(state)})
    return figures, json.loads(output)


def haul(binary):
    """A first run: no column is known from before."""
    def run(case):
        out, state = fresh(case.work / "haul"), fresh(case.work / "state")
        figures, report = haul_run(binary, haul_job(case, "job", out), state)
        assert report["tables"]["items"]["rows"] == case.rows, report
        return figures, list(out.rglob("*.parquet"))
    return run


def limit(way):
    def run(case):
        out = fresh(case.work / "limit.parquet")
        _, output = measured([LIMIT, way, case.root / case.path[1:], case.pages, out])
        told = json.loads(output)
        return Figures(told["wall"], told["cpu"], None), [out]
    return run


def peer(name, arguments, files=lambda out: [out]):
    def run(case):
        out = fresh(case.work / f"{name}.parquet")
        fresh(case.work / f"{name}.parquet-work")
        figures, _ = measured([PYTHON, HERE / "peers.py", name, *arguments(case), out])
        return figures, files(out)
    return run


def contenders(binary):
    """By name, the reference first."""
    return {
        "haul": haul(binary),
        "limit": limit("jiter"),
        "limit-arrow-json": limit("arrow-json"),
        "duckdb-lines": peer("duckdb-lines", lambda case: [case.lines]),
        "duckdb-http": peer("duckdb-http", lambda case: [case.url, case.pages]),
        "requests": peer("requests", lambda case: [case.url]),
        "dlt": peer("dlt", lambda case: [case.url], lambda out: list((out / "bench/items").glob("*.parquet"))),
    }


def check(case, name, files):
    """What was written must hold every record once, by an independent reader."""
    output = subprocess.run([PYTHON, HERE / "peers.py", "count", *files], check=True, capture_output=True).stdout
    found = json.loads(output)
    ids = case.rows * (case.rows - 1) // 2
    if (found["rows"], found["ids"]) != (case.rows, ids):
        sys.exit(f"{name} wrote {found}, not {case.rows} rows with ids that sum up to {ids}")
    return found["prices"]
