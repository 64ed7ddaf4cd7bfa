"""Compares tables that haul published with those that the slow reference makes of the same records. Parquet is read by
Arrow C++, CSV by the few lines below.

    compare.py FOLDER RUN.json...

`FOLDER` is what `records.py` made. A run has `path` (a name), `out` (the job's folder), `report` (the text of `haul run
--json`) and `options`: what the reference has to know. Prints what was compared; fails where anything differs.
"""

import json
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from reference import Refused, Table, decimal_parts, spelled
from slowjson import read_document

DIFFERENCES_SHOWN = 20


def arrow_type(kind, is_analytics=False):
    if kind.startswith("list"):
        return pa.list_(pa.field("element", arrow_type(kind[5:-1])))
    if kind.startswith("decimal"):
        return pa.decimal128(*decimal_parts(kind))
    if kind == "instant" and is_analytics:
        return pa.timestamp("us", tz="UTC")
    plain = {"integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
    return plain.get(kind) or (pa.timestamp("us") if kind in ("datetime", "instant") else pa.string())


def parquet_columns(files, columns):
    """`{name: (Arrow's type, [value])}`, values as the reference has them."""
    parts = [parquet.read_table(file) for file in files]
    found = {}
    for name, kind in columns:
        chunks = [part.column(name) for part in parts]
        types = {str(chunk.type) for chunk in chunks}
        values = []
        for chunk in chunks:
            if pa.types.is_date32(chunk.type):
                chunk = chunk.cast(pa.int32())
            elif pa.types.is_timestamp(chunk.type):
                chunk = chunk.cast(pa.int64())
            values += chunk.to_pylist()
        if kind.startswith("decimal"):
            values = [scaled(value, kind) for value in values]
        elif kind.startswith("list(decimal"):
            values = [value and [scaled(item, kind[5:-1]) for item in value] for value in values]
        found[name] = (types, values)
    expected_names = [name for name, _ in columns]
    for part in parts:
        if part.column_names != expected_names:
            raise ValueError(f"a file has the columns {part.column_names}, the manifest {expected_names}")
    return found


def scaled(value, kind):
    return None if value is None else units(str(value), decimal_parts(kind)[1])


def units(text, scale):
    """A decimal's digits as a whole number of units, whatever spelling Python has for it."""
    sign, digits, exponent = Decimal(text).as_tuple()
    value = int("".join(map(str, digits)) or "0") * 10 ** (exponent + scale)
    return -value if sign else value


def csv_fields(text):
    """Rows of `(field, was quoted)`, by RFC 4180."""
    rows, row, at = [], [], 0
    while at < len(text):
        if text[at] == '"':
            pieces = []
            while True:
                end = text.index('"', at + 1)
                pieces.append(text[at + 1 : end])
                at = end + 1
                if text[at] != '"':
                    break
            row.append(('"'.join(pieces), True))
        else:
            end = min(found for found in (text.find(",", at), text.find("\r\n", at)) if found >= 0)
            row.append((text[at:end], False))
            at = end
        if text[at] == ",":
            at += 1
            if text.startswith("\r\n", at):
                row.append(("", False))
        if text.startswith("\r\n", at):
            rows.append(row)
            row, at = [], at + 2
    return rows


def csv_columns(files, columns):
    found = {name: ({str(arrow_type(kind))}, []) for name, kind in columns}
    for file in files:
        content = file.read_bytes()
        if not content.startswith(b"\xef\xbb\xbf"):
            raise ValueError("no byte order mark")
        header, *rows = csv_fields(content[3:].decode())
        if [name for name, _ in header] != [name for name, _ in columns]:
            raise ValueError(f"the header is {header}")
        for row in rows:
            for (field, quoted), (name, kind) in zip(row, columns, strict=True):
                found[name][1].append(None if field == "" and not quoted else csv_value(field, kind))
    return found


def csv_value(field, kind):
    if kind.startswith("decimal"):
        places = decimal_parts(kind)[1]
        if len(field.partition(".")[2]) != places:
            raise ValueError(f"{field} has not {places} places")
        return int(field.replace(".", ""))
    if kind == "boolean":
        return {"true": True, "false": False}[field]
    return int(field) if kind == "integer" else float(field) if kind == "float" else field


def differences(expected, manifest, found, is_csv):
    wanted = [(name, kind) for name, kind, _ in expected.columns]
    have = [(column["name"], column["type"]) for column in manifest["columns"]]
    if sorted(wanted) != sorted(have):
        return [f"columns: expected {wanted}, found {have}"]
    in_order = [[pair for pair in pairs if pair[0] not in expected.unordered] for pairs in (wanted, have)]
    if in_order[0] != in_order[1] and not expected.start:
        return [f"order of columns: expected {in_order[0]}, found {in_order[1]}"]
    wrong = []
    for name, kind, values in expected.columns:
        types, have = found[name]
        stored = str(arrow_type(kind, not expected.has_limits))
        if types != {stored} and manifest["parts"]:
            wrong.append(f"{name} is stored as {types}, not as {stored}")
        if len(have) != expected.rows:
            wrong.append(f"{name} has {len(have)} rows, not {expected.rows}")
        for row, value in enumerate(have):
            want = values.get(row)
            if is_csv and want is not None and kind in ("date", "datetime", "instant"):
                want = spelled("date", want * 86_400_000_000) if kind == "date" else spelled("datetime", want)
            same = value == want and ("float" not in kind or value is None or str(value) == str(want))
            if not same:
                wrong.append(f"{name} ({kind}), row {row}: expected {want!r:.80}, found {value!r:.80}")
                break
    return wrong


def check(table, expected, run, counts):
    report = json.loads(run["report"])["tables"][table["name"]]
    if isinstance(expected, Refused):
        counts["refused"] += 1
        error = report.get("error") or ""
        if not error:
            return [f"is published, but {expected.why}"]
        page_rows = table["rows"] if run["options"].get("one_page") else table["page_rows"]
        page, record = divmod(expected.row or 0, page_rows)
        if expected.why.startswith("twice:"):
            place = f"record {record + 1} of page {page + 1} has the member `{expected.why[6:]}` twice"
            return [] if place in error else [f"the place is not named: expected `{place}`, found `{error}`"]
        return []
    if expected.rows and not expected.columns:
        counts["refused"] += 1
        error = report.get("error") or ""
        return [] if "no members" in error else [f"rows without a column: {error}"]
    filled = [sum(value is not None for value in values.values()) for _, _, values in expected.columns]
    if run["options"].get("csv") and len(filled) == 1 and filled[0] < expected.rows:
        counts["refused"] += 1
        error = report.get("error") or ""
        return [] if "which would be a blank line" in error else [f"a row is a blank line: {error}"]
    if report.get("error"):
        return [f"is refused: {report['error']}"]
    job = Path(run["out"])
    pointer = json.loads((job / "_latest.json").read_text())
    manifest = json.loads((job / pointer["manifest"]).read_text())["tables"][table["name"]]
    columns = [(column["name"], column["type"]) for column in manifest["columns"]]
    is_csv = run["options"].get("csv", False)
    files = [job / part["path"] for part in manifest["parts"]]
    found = (csv_columns if is_csv else parquet_columns)(files, columns)
    wrong = differences(expected, manifest, found, is_csv)
    warned = {(warning["column"], warning["kind"]): warning["count"] for warning in report.get("warnings", [])}
    if warned != expected.warnings and not wrong:
        wrong.append(f"warnings: expected {expected.warnings}, found {warned}")
    counts["tables"] += 1
    counts["late"] += len(expected.ends) > 0
    counts["warnings"] += sum(warned.values())
    for _, kind, values in expected.columns:
        counts[f"values of {kind}"] += len(values)
    return wrong


def has_huge(node):
    """Whether a number in it is beyond what a double holds: the job's expressions do not read such a record."""
    kind, value = node[0], node[1]
    if kind == "number":
        return float(value) in (float("inf"), float("-inf"))
    items = value if kind == "array" else [item for _, item in value] if kind == "object" else []
    return any(has_huge(item) for item in items)


def expected_of(records, table, options, start=None):
    try:
        declared = table["declared"] if options.get("declared") else None
        made = Table(
            records, declared=declared, is_odata=options.get("odata"), start=start, has_limits=not options.get("analytics")
        )
    except Refused as refused:
        made = refused
    if not options.get("added"):
        return made
    rows = made.row if isinstance(made, Refused) else made.rows
    huge = next((row for row in range(rows or 0) if has_huge(read_document(records[row]))), None)
    if huge is not None:
        return Refused("a number is beyond a double", huge)
    if isinstance(made, Table):
        # Its place among the others is not what is compared here.
        made.columns.append((options["added"], "text", dict.fromkeys(range(made.rows), "x")))
        made.unordered.add(options["added"])
    return made


def main():
    folder = Path(sys.argv[1])
    runs = [json.loads(Path(file).read_text()) for file in sys.argv[2:]]
    counts, shown, wrong_count, made = {run["path"]: Counter() for run in runs}, [], 0, {}
    for table in json.loads((folder / "tables.json").read_text()):
        content = (folder / f"{table['name']}.records").read_bytes()
        records = content.decode().split("\0") if table["rows"] else []
        made.clear()
        for run in runs:
            if table["name"] not in json.loads(run["report"])["tables"]:
                continue
            options = run["options"]
            key = (bool(options.get("declared")), bool(options.get("odata")), options.get("added"), options.get("analytics"))
            if key not in made:
                made[key] = expected_of(records, table, options)
            expected = made[key]
            if options.get("again") and not isinstance(expected, Refused):
                expected = expected_of(records, table, options, {name: kind for name, kind, _ in expected.columns})
            try:
                wrong = check(table, expected, run, counts[run["path"]])
            except (ValueError, OSError, KeyError) as error:
                wrong = [repr(error)]
            wrong_count += len(wrong)
            shown += [f"{run['path']}, {table['name']}: {text}" for text in wrong]
    print(json.dumps({"wrong": wrong_count, "shown": shown[:DIFFERENCES_SHOWN], "counts": counts}))


if __name__ == "__main__":
    main()
