"""What a small merge into a large table costs, beside rewriting that table whole.

    tests/rigs/.venv/bin/python tests/bench/merge.py [--haul target/release/haul] [--rows 10000000] [--changed 1000]
                                                     [--spread all|newest] [--part-mib 64] [--keep FOLDER]

Builds a table of so many rows with haul, from an API on this machine. Then one run reads the changed rows: nine of ten are
new values of former rows, one of ten is a tombstone. `newest` takes them from the last hundredth of the keys, as records
that are still worked on are; `all` takes them from everywhere, which is the worst case. Prints the parts and the share of
bytes that were written, peak memory and wall time. Then DuckDB and Polars, where they are installed, make the same table in
one run each from the former files and the changes; their rows are compared with haul's.
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
from pathlib import Path
from urllib.parse import parse_qs, urlparse

SEED = 0x9E3779B97F4A7C15
PAGE = 5000

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--haul", default="target/release/haul")
arguments.add_argument("--rows", type=int, default=10_000_000)
arguments.add_argument("--changed", type=int, default=1000)
arguments.add_argument("--spread", choices=["all", "newest"], default="newest")
arguments.add_argument("--part-mib", type=int, default=64)
arguments.add_argument("--keep")
option = arguments.parse_args()


def record(n, changed, word):
    h = ((n + 1) * SEED) & 0xFFFFFFFFFFFFFFFF
    return (f'{{"id":{n},"changed":{changed},"word":"{word}","guid":"{h:016x}","quantity":{h % 1000},'
            f'"price":{(h % 10_000_000) / 100},"city":"city {h % 5000}","at":"2024-{h % 12 + 1:02d}-{h % 28 + 1:02d}T00:00:00Z"}}')


def changes():
    first = 0 if option.spread == "all" else option.rows - option.rows // 100
    step = max((option.rows - first) // option.changed, 1)
    return [first + at * step for at in range(option.changed)]


def changed_record(at, n):
    return f'{{"id":{n},"changed":{option.rows + at},"gone":true}}' if at % 10 == 9 else record(n, option.rows + at, "new")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        offset = int(query.get("offset", ["0"])[0])
        if int(query["since"][0]) == 0:
            total = option.rows
            rows = [record(n, n, "old") for n in range(offset, min(offset + PAGE, total))]
        else:
            all_changes = list(enumerate(changes()))
            total = len(all_changes)
            rows = [changed_record(at, n) for at, n in all_changes[offset:offset + PAGE]]
        body = (f'{{"total":{total},"rows":[' + ",".join(rows) + "]}").encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def measured(command, env=None):
    """Wall seconds, peak bytes and standard output of a process."""
    began = time.monotonic()
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed: {output.decode()}")
    return time.monotonic() - began, usage.ru_maxrss * 1024, output.decode()


def table(folder):
    pointer = json.loads((folder / "_latest.json").read_text())
    return json.loads((folder / pointer["manifest"]).read_text())["tables"]["items"]


def files(folder, parts):
    return [str(folder / part["path"]) for part in parts]


DUCKDB = r"""
import duckdb, json, sys
former, changes, out = json.loads(sys.argv[1])
db = duckdb.connect()
db.execute("set enable_progress_bar = false")
db.execute(f"create view changes as select * from read_json('{changes}', format='newline_delimited', columns={{id: 'BIGINT', changed: 'BIGINT', word: 'VARCHAR', guid: 'VARCHAR', quantity: 'BIGINT', price: 'DECIMAL(18,4)', city: 'VARCHAR', \"at\": 'TIMESTAMP', gone: 'BOOLEAN'}})")
db.execute(f"copy (select * from read_parquet({former}) where id not in (select id from changes) union all by name select * exclude gone from changes where gone is null) to '{out}' (format parquet)")
print(json.dumps(db.execute(f"select count(*), sum(id), sum(changed) from read_parquet('{out}')").fetchone(), default=int))
"""

POLARS = """
import json, sys
import polars as pl
former, changes, out = json.loads(sys.argv[1])
old = pl.scan_parquet(former)
new = pl.scan_ndjson(changes, schema={"id": pl.Int64, "changed": pl.Int64, "word": pl.String, "guid": pl.String, "quantity": pl.Int64, "price": pl.Float64, "city": pl.String, "at": pl.String, "gone": pl.Boolean})
there = new.filter(pl.col("gone").is_null()).select(pl.col("id"), pl.col("changed"), pl.col("word"), pl.col("guid"), pl.col("quantity"), pl.col("price").cast(pl.Decimal(18, 4)), pl.col("city"), pl.col("at").str.to_datetime(time_unit="us", time_zone=None, format="%Y-%m-%dT%H:%M:%SZ"))
pl.concat([old.join(new.select("id"), on="id", how="anti"), there], how="vertical_relaxed").sink_parquet(out)
found = pl.scan_parquet(out).select(pl.len(), pl.col("id").sum().alias("i"), pl.col("changed").sum()).collect().row(0)
print(json.dumps(found))
"""


def main(work):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    job = work / "job.yaml"
    job.write_text(f"""job: bench
source: {{ base_url: "http://127.0.0.1:{server.server_address[1]}" }}
streams:
  - name: items
    path: /items
    records: rows
    params: {{ since: "{{{{ cursor }}}}" }}
    paging: {{ offset: {{ size: {PAGE}, total: total }} }}
    key: [id]
    incremental: {{ cursor: changed, start: 0 }}
    deleted: {{ field: gone }}
destination: {{ url: {work}/out, part_mib: {option.part_mib} }}
publish: {{ alias: false }}
""")
    folder = work / "out/bench"
    env = {**os.environ, "HAUL_STATE": str(work / "state")}
    run = [option.haul, "run", str(job), "--json"]
    if not folder.exists():
        wall, peak, _ = measured(run, env)
        print(f"built {option.rows:,} rows: {wall:.1f} s, peak {peak / 1e6:.0f} MB", flush=True)
    before = table(folder)
    wall, peak, output = measured(run, env)
    merge = json.loads(output)["tables"]["items"]["merge"]
    after = table(folder)
    known = {part["path"] for part in before["parts"]}
    written = [part for part in after["parts"] if part["path"] not in known]
    share = sum(part["bytes"] for part in written) / before["bytes"]
    print(f"haul, {option.changed:,} changes ({option.spread}): {wall:.2f} s, peak {peak / 1e6:.0f} MB, "
          f"{merge['parts_rewritten']} of {len(before['parts'])} parts rewritten, {merge['parts_unread']} not read, "
          f"{sum(part['bytes'] for part in written) / 1e6:.1f} MB written, {100 * share:.2f} % of the table")
    lines = work / "changes.jsonl"
    lines.write_text("".join(f"{changed_record(at, n)}\n" for at, n in enumerate(changes())))
    expected = None
    for name, program in [("duckdb", DUCKDB), ("polars", POLARS)]:
        if subprocess.run([sys.executable, "-c", f"import {name}"], stderr=subprocess.DEVNULL).returncode != 0:
            print(f"{name} is not installed here")
            continue
        out = work / f"{name}.parquet"
        told = json.dumps([files(folder, before["parts"]), str(lines), str(out)])
        wall, peak, output = measured([sys.executable, "-c", program, told])
        found = json.loads(output)
        expected = expected or found
        assert found[0] == after["rows"], f"{name} has {found[0]:,} rows, haul {after['rows']:,}"
        if name == "duckdb":
            sums = "import duckdb, json, sys; print(json.dumps(duckdb.sql(f'select count(*), sum(id), sum(changed) from read_parquet({sys.argv[1]})').fetchone(), default=int))"
            _, _, output = measured([sys.executable, "-c", sums, json.dumps(files(folder, after["parts"]))])
            assert json.loads(output) == found, f"haul has {output}, duckdb {found}"
        assert found == expected, f"{name} has {found}, the other {expected}"
        print(f"{name}, the whole table: {wall:.2f} s, peak {peak / 1e6:.0f} MB, {out.stat().st_size / 1e6:.1f} MB written")


if option.keep:
    Path(option.keep).mkdir(parents=True, exist_ok=True)
    main(Path(option.keep))
else:
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
