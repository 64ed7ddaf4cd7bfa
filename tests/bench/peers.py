"""The same work by others, one in each process, so that the operating system's account is theirs alone.

    peers.py duckdb-lines FILE OUT          JSON lines on this disk into Parquet
    peers.py duckdb-http URL PAGES OUT      the list of pages by URL: DuckDB follows no links
    peers.py dlt URL OUT                    dlt's rest_api source, following the links, into Parquet files of a folder
    peers.py requests URL OUT               requests and pyarrow, following the links, page by page into one file
    peers.py count FILE...                  rows and sums of Parquet files, for the check after the clock stopped

Each is written as its own documentation shows it, and set up for no more than the job asks for: no retries beyond the
defaults, no progress display, no telemetry.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urljoin, urlparse


def duckdb_lines(file, out):
    import duckdb

    duckdb.sql(f"copy (select * from read_json('{file}', format = 'newline_delimited'))"
               f" to '{out}' (format parquet, compression snappy)")


def duckdb_http(url, pages, out):
    import duckdb
    import duckdb_extension_httpfs

    connection = duckdb.connect()
    # The extension comes from PyPI: DuckDB's own download is not at hand everywhere.
    extension = next(Path(duckdb_extension_httpfs.__path__[0]).rglob("*.duckdb_extension"))
    connection.execute(f"load '{extension}'")
    urls = [urljoin(url, f"{page}.json") for page in range(int(pages))]
    connection.execute(
        f"copy (select unnest(record) from (select unnest(data) as record from read_json({urls!r})))"
        f" to '{out}' (format parquet, compression snappy)")


def dlt(url, out):
    import os

    work = Path(out).with_name(Path(out).name + "-work")
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", DESTINATION__FILESYSTEM__BUCKET_URL=Path(out).as_uri(),
                      RUNTIME__LOG_LEVEL="ERROR", DLT_DATA_DIR=str(work))
    import dlt
    from dlt.sources.rest_api import rest_api_source

    parts = urlparse(url)
    source = rest_api_source({
        "client": {"base_url": f"{parts.scheme}://{parts.netloc}",
                   "paginator": {"type": "json_link", "next_url_path": "next"}},
        "resources": [{"name": "items", "write_disposition": "replace",
                       "endpoint": {"path": parts.path.lstrip("/"), "data_selector": "data"}}],
    })
    pipeline = dlt.pipeline(pipeline_name="bench", destination="filesystem", dataset_name="bench",
                            pipelines_dir=str(work))
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()


def requests(url, out):
    import pyarrow
    import pyarrow.parquet
    import requests

    session = requests.Session()
    writer = None
    while url:
        answer = session.get(url)
        answer.raise_for_status()
        page = answer.json()
        # The first page's types hold for all, as such scripts do it; null in a later page fits them.
        table = pyarrow.Table.from_pylist(page["data"], schema=writer.schema if writer else None)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(out, table.schema, compression="snappy")
        writer.write_table(table)
        url = urljoin(url, page["next"]) if page["next"] else None
    writer.close()


def count(*files):
    import duckdb

    found = duckdb.sql(f"select count(*), sum(id)::bigint, sum(price)::double from read_parquet({list(files)!r})")
    rows, ids, prices = found.fetchone()
    print(json.dumps({"rows": rows, "ids": ids, "prices": round(prices, 2)}))


if __name__ == "__main__":
    verbs = {"duckdb-lines": duckdb_lines, "duckdb-http": duckdb_http, "dlt": dlt, "requests": requests, "count": count}
    verbs[sys.argv[1]](*sys.argv[2:])
