"""Parquet files as Arrow C++ writes them, each outside of the Power BI profile in ways of its own: proof that the
footer test sees them.

    foreign.py FOLDER
"""

import argparse
import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 200_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    numbers = pa.table({"id": pa.array(range(ROWS), pa.int64())})
    pq.write_table(numbers, folder / "defaults.parquet")
    pq.write_table(numbers, folder / "pages.parquet", data_page_version="2.0", compression="zstd", use_dictionary=False)
    encoding = {"id": "DELTA_BINARY_PACKED"}
    pq.write_table(numbers, folder / "delta.parquet", use_dictionary=False, column_encoding=encoding)
    large = {"data_page_size": 8 << 20, "max_rows_per_page": ROWS, "write_batch_size": ROWS, "row_group_size": ROWS}
    pq.write_table(numbers, folder / "large.parquet", use_dictionary=False, **large)
    moment = datetime.datetime(2024, 1, 31, tzinfo=datetime.timezone.utc)
    kinds = {
        "small": pa.array([1], pa.int32()),
        "single": pa.array([1.5], pa.float32()),
        "bytes": pa.array([b"x"], pa.binary()),
        "moment": pa.array([moment], pa.timestamp("us", tz="UTC")),
        "nanos": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ns")),
        "wide": pa.array([None], pa.decimal256(50, 2)),
        "object": pa.array([{"a": 1}]),
        "list": pa.array([[1, 2]]),
        "first name": pa.array(["x"]),
        "Name": pa.array(["x"]),
        "name": pa.array(["y"]),
    }
    schema = pa.schema([pa.field(name, values.type) for name, values in kinds.items()])
    schema = schema.append(pa.field("required", pa.int64(), nullable=False))
    pq.write_table(pa.table([*kinds.values(), pa.array([1])], schema=schema), folder / "kinds.parquet", version="2.6")


if __name__ == "__main__":
    main()
