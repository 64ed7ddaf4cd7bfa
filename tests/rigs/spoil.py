"""Parquet files of one small table by Arrow C++, each with one thing that the Power BI profile does not allow.

    spoil.py KIND FILE      writes the file and prints its rows

KIND `plain` obeys the profile.
"""

import argparse
import datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet

KINDS = [
    "plain", "delta", "byte_stream_split", "rle_boolean", "utc", "early", "late", "zstd", "version_2", "arrow_schema", "nested",
    "narrow", "swapped", "large_group", "too_large", "long_text", "clash", "odd_name", "nanos", "three_rows",
]


def table_of(kind):
    rows = {"large_group": 70_000, "too_large": 2_400, "three_rows": 3}.get(kind, 2)
    text = {"too_large": "x" * 30_000, "long_text": "ä" * 33_000}.get(kind, "text")
    day = {"early": datetime.date(1850, 1, 2), "late": datetime.date(9999, 12, 31)}.get(kind, datetime.date(2024, 1, 2))
    at = datetime.datetime(2024, 1, 2, 3, 4, 5, 600_000)
    unit = "ns" if kind == "nanos" else "us"
    columns = {
        "id": pyarrow.array(range(rows), pyarrow.int32() if kind == "narrow" else pyarrow.int64()),
        "name": pyarrow.array([[text]] * rows if kind == "nested" else [text] * rows),
        "ok": pyarrow.array([True] * rows),
        "day": pyarrow.array([day] * rows, pyarrow.date32()),
        "at": pyarrow.array([at] * rows, pyarrow.timestamp(unit, "UTC" if kind == "utc" else None)),
        "score": pyarrow.array([1.5] * rows, pyarrow.float64()),
    }
    if kind == "clash":
        columns["NAME"] = columns["name"]
    if kind == "odd_name":
        columns["my name"] = columns["name"]
    if kind == "swapped":
        columns = dict(reversed(columns.items()))
    return pyarrow.table(columns)


def options_of(kind):
    options = {
        "version": "1.0", "data_page_version": "1.0", "compression": "snappy", "store_schema": False,
        "use_dictionary": False, "row_group_size": 1_000_000 if kind == "large_group" else 50_000,
    }
    if kind == "delta":
        options["column_encoding"] = {"id": "DELTA_BINARY_PACKED"}
    if kind == "byte_stream_split":
        options["column_encoding"] = {"score": "BYTE_STREAM_SPLIT"}
    if kind == "rle_boolean":
        options["data_page_version"] = "2.0"
    if kind == "zstd":
        options["compression"] = "zstd"
    if kind == "too_large":
        options["compression"] = "none"
        options["row_group_size"] = 600
    if kind in ("version_2", "nanos", "rle_boolean"):
        options["version"] = "2.6"
    if kind == "arrow_schema":
        options["store_schema"] = True
    return options


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    table = table_of(args.kind)
    pyarrow.parquet.write_table(table, args.file, **options_of(args.kind))
    print(table.num_rows)


if __name__ == "__main__":
    main()
