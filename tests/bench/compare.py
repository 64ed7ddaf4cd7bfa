#!/usr/bin/env python3
"""haul beside its limit and its peers, in one run on this machine. Nothing fails on a figure, only on wrong rows.

    tests/bench/install && cargo build --release
    tests/bench/compare.py                     10,000, 100,000 and 1,000,000 rows, 1,000 and 60 a page, and one page
    tests/bench/compare.py --startup           one page, again and again
    tests/bench/compare.py --memory            peak memory of haul at 1,000,000 and at 10,000,000 rows (5.5 GB of pages)

limit              the same pages decoded and written from memory by haul's libraries, with the schema known beforehand
limit-arrow-json   the same by the reader of arrow-json
duckdb-lines       DuckDB, from JSON lines on this disk
duckdb-http        DuckDB, from the list of page URLs: it follows no links
requests           Python: requests and pyarrow
dlt                Python: dlt's rest_api source

Every contender runs once in each round, so that a machine that gets slower does so for all. Figures are medians of the
rounds, ratios are medians of each round's ratio. Interpreter and imports count: they are part of the work.
"""

import argparse
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))
import contenders as them
import special
from records import generate_lines, generate_pages
from server import serving

ROOT = Path(__file__).resolve().parents[2]
SIZES = [1_000, 60]
# From here on dlt takes minutes.
SLOW_ROWS = 200_000


def same_libraries():
    """The limit is of use only with the libraries of haul."""
    def versions(lock):
        packages = tomllib.loads(lock.read_text())["package"]
        return {package["name"]: package["version"] for package in packages}
    ours, limits = versions(ROOT / "Cargo.lock"), versions(them.HERE / "limit/Cargo.lock")
    for name in ["arrow", "parquet", "jiter", "snap", "simdutf8"]:
        if ours[name] != limits[name]:
            sys.exit(f"{name} is {ours[name]} in haul and {limits[name]} in tests/bench/limit: "
                     f"cargo update --manifest-path tests/bench/limit/Cargo.toml --precise {ours[name]} {name}")


def compare(case, args):
    """Medians by contender: figures, and the ratios of haul to it in processor and wall time."""
    generate_pages(case.root, case.path, case.rows, case.size)
    if "duckdb-lines" not in args.skip:
        generate_lines(case.lines, case.rows)
    runs = {name: run for name, run in them.contenders(args.haul).items() if name not in args.skip}
    measured = {name: [] for name in runs}
    prices = None
    for number in range(args.rounds):
        for name, run in runs.items():
            if name == "dlt" and case.rows >= SLOW_ROWS and number >= args.slow_rounds:
                continue
            figures, files = run(case)
            measured[name].append(figures)
            found = them.check(case, name, files)
            prices = found if prices is None else prices
            if abs(found - prices) > 1e-9 * prices:
                sys.exit(f"{name} wrote prices that sum up to {found}, haul {prices}")
    return {name: summary(figures, measured["haul"]) for name, figures in measured.items() if figures}


def summary(figures, ours):
    peaks = [one.peak for one in figures if one.peak is not None]
    pairs = list(zip(ours, figures))
    return {
        "wall": median(one.wall for one in figures),
        "cpu": median(one.cpu for one in figures),
        "peak": max(peaks) if peaks else None,
        "cpu_ratio": median(us.cpu / them.cpu for us, them in pairs),
        "wall_ratio": median(us.wall / them.wall for us, them in pairs),
        "rounds": len(figures),
    }


def show(case, results):
    print(f"\n{case.rows:,} records, {case.size:,} a page")
    print(f"  {'':<17} {'wall s':>8} {'cpu s':>8} {'µs/record':>10} {'rows/s':>11} {'peak MB':>8}"
          f" {'haul/it cpu':>12} {'haul/it wall':>13}")
    for name, of in results.items():
        peak = "" if of["peak"] is None else f"{of['peak']:.0f}"
        ratios = "" if name == "haul" else f"{of['cpu_ratio']:12.3f} {of['wall_ratio']:13.3f}"
        print(f"  {name:<17} {of['wall']:8.2f} {of['cpu']:8.2f} {of['cpu'] / case.rows * 1e6:10.2f}"
              f" {case.rows / of['wall']:11,.0f} {peak:>8} {ratios}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--page", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of dlt, from 200,000 rows on; 0 = leave it out")
    parser.add_argument("--skip", nargs="*", default=[], choices=list(them.contenders(""))[1:], metavar="CONTENDER")
    parser.add_argument("--startup", action="store_true", help="only the run of one page")
    parser.add_argument("--memory", action="store_true", help="only the peak memory of haul")
    parser.add_argument("--haul", type=Path, default=ROOT / "target/release/haul")
    parser.add_argument("--data", type=Path, help="folder that keeps the pages for another time; default: none is kept")
    args = parser.parse_args()
    same_libraries()
    for needed in [args.haul, them.PYTHON, them.LIMIT]:
        if not needed.exists():
            sys.exit(f"{needed} is missing: tests/bench/install && cargo build --release")
    work = Path(tempfile.mkdtemp(prefix="haul-bench-"))
    root = args.data.resolve() if args.data else work / "pages"
    try:
        root.mkdir(parents=True, exist_ok=True)
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        with serving(root, work / "nginx") as base:
            make = lambda rows, size: them.Case(rows, size, root, base, work)
            if args.startup:
                special.startup(make, args.haul)
            elif args.memory:
                special.memory(make, args.haul)
            else:
                everything(make, args)
                special.startup(make, args.haul)
    finally:
        shutil.rmtree(work)


def everything(make, args):
    for rows in args.rows:
        by_size = {}
        for size in args.page:
            case = make(rows, size)
            results = compare(case, args)
            show(case, results)
            by_size[size] = results["haul"]["cpu"]
        if set(SIZES) <= by_size.keys():
            print(f"  haul, processor time at 60 a page over 1,000 a page: {by_size[60] / by_size[1_000]:.2f}")


if __name__ == "__main__":
    main()
