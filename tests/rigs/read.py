"""The independent reader: runs SQL in DuckDB and prints columns and rows as one JSON document. With `--sas`, every
http address in the SQL gets the SAS as its query: an anonymous read, as Power BI does it.

    read.py [--sas SAS] SQL
"""

import argparse
import json
import re
from pathlib import Path

import duckdb
import duckdb_extension_httpfs


def plain(value):
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sas")
    parser.add_argument("sql")
    args = parser.parse_args()
    connection = duckdb.connect()
    sql = args.sql
    if args.sas:
        # The extension comes from PyPI: DuckDB's own download is not at hand everywhere.
        extension = next(Path(duckdb_extension_httpfs.__path__[0]).rglob("*.duckdb_extension"))
        connection.execute(f"load '{extension}'")
        sql = re.sub(r"'(http[^']+)'", lambda match: f"'{match[1]}?{args.sas}'", sql)
    found = connection.sql(sql)
    columns = [{"name": name, "type": str(kind)} for name, kind in zip(found.columns, found.types)]
    rows = [[plain(value) for value in row] for row in found.fetchall()]
    print(json.dumps({"columns": columns, "rows": rows}))


if __name__ == "__main__":
    main()
