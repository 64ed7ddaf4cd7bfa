"""Three independent readers: reads every table of a published job with DuckDB, with Arrow C++ and with Polars, and
compares types and values, exactly. Prints rows, columns and a digest of every table, or what differs.

    read_all.py FOLDER            the job's folder: the one with `_latest.json`
    read_all.py --sas SAS URL     the same folder on the web, opened by the fields of a signature

On the web DuckDB reads by its own requests. Arrow C++ and Polars get the bytes that Python's standard library fetched: their own
readers of Azure take no signature for an emulator.
"""

import argparse
import hashlib
import json
import io
import re
import sys
import urllib.request
from pathlib import Path

import duckdb
import duckdb_extension_httpfs
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Differences that are told for one column.
SHOWN_MAX = 3
# Columns that are in memory at once, three times.
COLUMNS_MAX = 16
PLAIN = {
    "text": pa.string(),
    "json": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "float": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "instant": pa.timestamp("us"),
}


def type_of(word):
    """The Arrow type of a type of the manifest."""
    if word.startswith("list("):
        return pa.list_(pa.field("element", type_of(word[5:-1])))
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", word)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else PLAIN[word]


def connect(files):
    connection = duckdb.connect()
    if any(file.startswith("http") for file in files):
        # The extension comes from PyPI: DuckDB's own download is not at hand everywhere.
        extension = next(Path(duckdb_extension_httpfs.__path__[0]).rglob("*.duckdb_extension"))
        connection.execute(f"load '{extension}'")
    return connection


def fetched(file):
    """The file, or its bytes where it is on the web."""
    if not file.startswith("http"):
        return file
    with urllib.request.urlopen(file, timeout=60) as answer:
        return io.BytesIO(answer.read())


def by_duckdb(files, names):
    # The order of rows is kept: that is DuckDB's default, also over several files and threads.
    columns = ", ".join(f'"{name}"' for name in names)
    return connect(files).execute(f"select {columns} from read_parquet(?)", [files]).to_arrow_table()


def by_arrow(files, names):
    return pa.concat_tables([pq.ParquetFile(fetched(file)).read(columns=names) for file in files])


def by_polars(files, names):
    return polars.concat([polars.read_parquet(fetched(file), columns=names) for file in files], how="vertical").to_arrow()


READERS = {"DuckDB": by_duckdb, "Arrow": by_arrow, "Polars": by_polars}


def is_same(found, expected):
    """Texts differ between readers in how Arrow stores them; nothing else may."""
    if pa.types.is_string(expected):
        return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if pa.types.is_list(expected):
        is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
        return is_list and is_same(found.value_type, expected.value_type)
    return found == expected


def differences(name, reader, column, want):
    """Rows in which two readings of one column are not the same value, null counted as a value."""
    if column.equals(want):
        return
    if pa.types.is_list(want.type):
        yield f"{name}: lists differ for {reader}"
        return
    both = pc.and_(pc.is_valid(column), pc.is_valid(want))
    equal = pc.if_else(both, pc.fill_null(pc.equal(column, want), False), pc.equal(pc.is_valid(column), pc.is_valid(want)))
    rows = pc.indices_nonzero(pc.invert(equal).combine_chunks()).to_pylist()
    for row in rows[:SHOWN_MAX]:
        yield f"{name}, row {row}: {reader} reads {column[row]}, Arrow {want[row]}"
    yield f"{name}: {len(rows)} rows differ for {reader}"


def check_schemas(table, files, expected):
    """Every part has the columns of the manifest in their order, and all parts have one schema, as each reader sees it."""
    described = connect(files)
    for file in files:
        columns = described.execute("select * from read_parquet(?) limit 0", [file]).description
        seen = {
            "DuckDB": [column[0] for column in columns],
            "Arrow": pq.read_schema(fetched(file)).names,
            "Polars": list(polars.read_parquet_schema(fetched(file))),
        }
        for reader, names in seen.items():
            if names != expected.names:
                yield f"{table}: {reader} finds the columns {names} in {file.split('?')[0]}, not {expected.names}"
    first = pq.read_schema(fetched(files[0])) if files else None
    for file in files[1:]:
        if not pq.read_schema(fetched(file)).equals(first, check_metadata=True):
            yield f"{table}: {file.split('?')[0]} has another schema than the first part"


def compare(table, files, described, digest):
    """What differs between the readers, and between them and the manifest."""
    expected = pa.schema([(column["name"], type_of(column["type"])) for column in described["columns"]])
    told = list(check_schemas(table, files, expected))
    if told or not files:
        return told
    for start in range(0, len(expected), COLUMNS_MAX):
        names = expected.names[start : start + COLUMNS_MAX]
        found = {reader: read(files, names) for reader, read in READERS.items()}
        for reader, columns in found.items():
            if columns.num_rows != described["rows"]:
                told.append(f"{table}: {reader} finds {columns.num_rows} rows, not {described['rows']}")
        for name in names:
            kinds = {reader: columns.schema.field(name).type for reader, columns in found.items()}
            wrong = [reader for reader, kind in kinds.items() if not is_same(kind, expected.field(name).type)]
            told += [f"{table}.{name}: {reader} finds the type {kinds[reader]}" for reader in wrong]
            if not told:
                same = {reader: columns[name].cast(expected.field(name).type) for reader, columns in found.items()}
                told += differences(f"{table}.{name}", "DuckDB", same["DuckDB"], same["Arrow"])
                told += differences(f"{table}.{name}", "Polars", same["Polars"], same["Arrow"])
                add_to(digest, name, same["Arrow"])
    return told


def add_to(digest, name, column):
    """Takes a column's values into account, as Arrow spells them."""
    digest.update(f"{name}\0{column.type}\0{len(column)}\0".encode())
    one = pa.chunked_array([column.combine_chunks()]) if column.num_chunks > 1 else column
    sink = pa.BufferOutputStream()
    table = pa.table({name: one})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    digest.update(sink.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sas")
    parser.add_argument("folder")
    args = parser.parse_args()
    place = lambda path: f"{args.folder}/{path}" + (f"?{args.sas}" if args.sas else "")
    document = lambda path: json.load(fetched(place(path)) if args.sas else Path(place(path)).open())
    manifest = document(document("_latest.json")["manifest"])
    tables, told = {}, []
    for name, described in manifest["tables"].items():
        if described["format"] != "parquet":
            raise SystemExit(f"{name} is {described['format']}; three readers are for Parquet")
        files = [place(part["path"]) for part in described["parts"]]
        for file, part in zip(files, described["parts"]):
            if pq.read_metadata(fetched(file)).num_rows != part["rows"]:
                told.append(f"{part['path']} has not the {part['rows']} rows of the manifest")
        digest = hashlib.sha256()
        told += compare(name, files, described, digest)
        columns = len(described["columns"])
        tables[name] = {"rows": described["rows"], "columns": columns, "parts": len(files), "digest": digest.hexdigest()}
    if told:
        sys.exit("\n".join(told))
    print(json.dumps(tables))


if __name__ == "__main__":
    main()
