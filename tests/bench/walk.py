#!/usr/bin/env python3
"""A walk of many records over loopback by haul, next to DuckDB turning the same records, as JSON lines on this
machine's disk, into Parquet. One run, ratios side by side; nothing fails on a number.

    tests/rigs/install && cargo build --release
    tests/rigs/.venv/bin/python tests/bench/walk.py [--rows 1000000] [--page 1000] [--rounds 3]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo", "juniper"]


def record(n):
    """Fifteen fields of the usual kinds, about 530 bytes; the same for the same number."""
    h = (n * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    word = lambda shift: WORDS[(h >> shift) % 10]
    return {
        "id": n,
        "guid": f"{h:016x}-{n:012d}",
        "customer": f"Customer {word(3)} {word(7)} {h % 5000:04d}",
        "email": None if n % 11 == 0 else f"{word(5)}.{h % 100000}@example.com",
        "country": ["NL", "DE", "BE", "FR", "GB"][h % 5],
        "ordered_at": f"2024-{h % 12 + 1:02d}-{h % 28 + 1:02d}T{h % 24:02d}:{h % 60:02d}:{h % 59:02d}Z",
        "due_on": f"2025-{h % 12 + 1:02d}-{h % 28 + 1:02d}",
        "quantity": h % 1000,
        "price": (h % 10_000_000) / 100,
        "discount": (h % 1000) / 1000,
        "is_paid": h % 3 == 0,
        "status": ["open", "shipped", "paid", "cancelled"][h % 4],
        "note": f"{word(9)} {word(13)} {word(17)} {word(21)} {word(25)} {word(29)} {word(33)} {word(37)} " * 2,
        "address": {"street": f"{word(11)} street {h % 300}", "city": word(15)},
        "reference": f"REF-{h % 1_000_000:06d}",
    }


def generate(folder, rows, page):
    with open(folder / "records.jsonl", "w") as lines:
        for number in range((rows + page - 1) // page):
            first, last = number * page, min((number + 1) * page, rows)
            texts = [json.dumps(record(n), separators=(",", ":")) for n in range(first, last)]
            next_link = f"/items?page={number + 1}" if last < rows else None
            body = '{"data":[%s],"next":%s}' % (",".join(texts), json.dumps(next_link))
            (folder / f"{number}.json").write_text(body)
            lines.write("\n".join(texts) + "\n")


def measured(command, **options):
    """Wall and processor seconds and peak megabytes of one process, by the operating system's own account."""
    import time

    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if status != 0:
        sys.exit(f"{command[0]} failed ({status}): {output.decode()[:2000]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}, output


def show(name, figures, rows):
    cpu, wall = figures["cpu"], figures["wall"]
    print(f"  {name:<28} {wall:7.2f} s  {rows / wall:12,.0f} rows/s  {cpu:7.2f} s processor"
          f"  {cpu / rows * 1e6:6.2f} µs/record  {figures['peak']:7.1f} MB peak", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--page", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="haul-bench-"))
    try:
        run(folder, args)
    finally:
        shutil.rmtree(folder)


def run(folder, args):
    generate(folder, args.rows, args.page)
    size = os.path.getsize(folder / "records.jsonl")
    print(f"{args.rows:,} records, {size / args.rows:.0f} bytes each, {args.page:,} a page")
    server = subprocess.Popen(["node", str(ROOT / "tests/bench/pages.mjs"), str(folder)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(server.stdout.readline())["url"]
        job = folder / "job.yaml"
        job.write_text(f"job: bench\nsource: {{ base_url: {url} }}\nstreams:\n  - name: items\n    path: /items\n"
                       f"    records: data\n    paging: {{ next_url: next }}\n"
                       f"destination: {{ url: {folder}/out }}\npublish: {{ alias: false }}\n")
        duckdb = ("import duckdb; duckdb.sql(\"copy (select * from read_json('%s/records.jsonl', format='newline_delimited'))"
                  " to '%s/duckdb.parquet' (format parquet, compression snappy)\")" % (folder, folder))
        ratios = []
        for _ in range(args.rounds):
            ours, output = measured([str(ROOT / "target/release/haul"), "run", str(job), "--json", "--quiet"],
                                    env={**os.environ, "HAUL_STATE": str(folder / "state")})
            report = json.loads(output)
            assert report["tables"]["items"]["rows"] == args.rows, report
            theirs, _ = measured([sys.executable, "-c", duckdb])
            show("haul, over HTTP", ours, args.rows)
            show("DuckDB, from a local file", theirs, args.rows)
            ratios.append((ours["cpu"] / theirs["cpu"], ours["wall"] / theirs["wall"], ours["peak"] / theirs["peak"]))
        middle = [sorted(column)[len(column) // 2] for column in zip(*ratios)]
        print("  haul / DuckDB, median of the rounds: processor %.2f, wall %.2f, peak memory %.2f" % tuple(middle))
    finally:
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    main()
