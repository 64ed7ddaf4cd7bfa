"""Two measurements of haul alone: the run of one page, and memory that does not grow with the rows."""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from contenders import fresh, haul_job, haul_run
from records import generate_pages

STARTS = 20
MEMORY_FOLDER = Path("/dev/shm")


def startup(make, binary):
    """One page, as a scheduled run finds it: with the state and the snapshot of the run before."""
    print(f"\none page, median of {STARTS} runs after a first one")
    for rows in [10, 1_000]:
        case = make(rows, rows)
        generate_pages(case.root, case.path, rows, rows)
        starts(case, binary, case.work, f"{rows:>5} records, state and destination on this disk")
    print(f"        one small file written and synced on this disk: {1000 * sync_seconds(case.work):.2f} ms,"
          " which a run does about twenty times")
    if MEMORY_FOLDER.is_dir():
        with tempfile.TemporaryDirectory(prefix="haul-bench-", dir=MEMORY_FOLDER) as folder:
            starts(case, binary, Path(folder), f"{rows:>5} records, both in memory")
    walls = []
    for _ in range(STARTS):
        began = time.monotonic()
        subprocess.run([str(binary), "--version"], check=True, stdout=subprocess.DEVNULL)
        walls.append(time.monotonic() - began)
    print(f"        `haul --version`: {1000 * median(walls):.1f} ms")


def starts(case, binary, place, label):
    out, state = fresh(place / "started"), fresh(place / "started-state")
    job = haul_job(case, "started", out)
    haul_run(binary, job, state)
    walls, cpus = [], []
    for _ in range(STARTS):
        figures, report = haul_run(binary, job, state)
        assert report["tables"]["items"]["rows"] == case.rows, report
        walls.append(figures.wall)
        cpus.append(figures.cpu)
    print(f"  {label}: wall {1000 * median(walls):.1f} ms (fastest {1000 * min(walls):.1f}),"
          f" processor {1000 * median(cpus):.1f} ms", flush=True)


def sync_seconds(folder):
    """Median time to write a small new file and sync it: what the disk, not haul, makes of one step."""
    walls = []
    for number in range(STARTS):
        began = time.monotonic()
        with open(folder / f"sync-{number}", "wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        walls.append(time.monotonic() - began)
    return median(walls)


def memory(make, binary, sizes=(1_000_000, 10_000_000)):
    """Peak memory of haul at each number of rows, 1,000 a page."""
    print("\npeak memory")
    for rows in sizes:
        case = make(rows, 1_000)
        generate_pages(case.root, case.path, rows, 1_000)
        out = fresh(case.work / "haul")
        figures, report = haul_run(binary, haul_job(case, "job", out), fresh(case.work / "state"))
        assert report["tables"]["items"]["rows"] == rows, report
        print(f"  {rows:>10,} rows: {figures.peak:.0f} MB, wall {figures.wall:.1f} s, {figures.cpu / rows * 1e6:.2f} µs"
              f" processor a record, {report['source']['bytes'] / 1e9:.2f} GB of pages", flush=True)
        fresh(out)
