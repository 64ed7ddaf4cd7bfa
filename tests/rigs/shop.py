"""Rows and truth of the shop (shop.json): shop.mjs in Python; the self-test compares the two."""
import datetime
import hashlib
import json
import pathlib

SHOP = json.loads((pathlib.Path(__file__).parent / "shop.json").read_text("utf-8"))
EPOCH = datetime.datetime(1970, 1, 1)


def mix(n, salt):
    m = 0xFFFFFFFF
    x = ((n * 0x9E3779B1) ^ (salt * 0x85EBCA6B)) & m
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & m
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & m
    return x ^ (x >> 16)


def decimal(units):
    digits = str(abs(units)).rjust(5, "0")
    return f"{'-' if units < 0 else ''}{digits[:-4]}.{digits[-4:]}"


def value(n, h, column, shop_set, size):
    rule, texts = column["rule"], SHOP["texts"]
    if rule == "key":
        return shop_set["first"] + shop_set["step"] * n
    if rule == "ref":
        target = SHOP["sets"][column["of"]]
        return target["first"] + target["step"] * (h % target["rows"][size])
    if rule == "small":
        return 1 + n % 3
    if rule == "stamp":
        return 9007199254740993 + 7 * n
    if rule == "name":
        text = texts[h % len(texts)]
        return f"{'Ünnamed' if text is None else text} {n}"
    if rule == "text":
        return texts[h % len(texts)]
    if rule == "money":
        units = 9007199254740993000 + h % 1000 if n % 97 == 96 else h % 1_000_000_000
        return -units if n % 5 == 0 else units
    if rule == "eighths":
        return (h % 80_000 - 8_000) / 8
    if rule == "flag":
        return h % 3 != 0
    if rule == "day":
        return 2932896 if n % 500 == 499 else h % 22_000 - 3653
    if rule == "moment":
        return 1420070400000 + (h % 300_000_000) * 1000 + (0 if n % 3 == 1 else (h % 8) * 125)
    if rule == "guid":
        s = "".join(f"{x:08x}" for x in (h, mix(n, h ^ 1), mix(n, h ^ 2), mix(n, h ^ 3)))
        return f"{s[:8]}-{s[8:12]}-{s[12:16]}-{s[16:20]}-{s[20:]}"
    raise ValueError(rule)


def rows(name, size):
    shop_set = SHOP["sets"][name]
    out = []
    for n in range(shop_set["rows"][size]):
        row = {}
        for i, column in enumerate(shop_set["columns"]):
            is_null = column.get("nullable") and mix(n, i + 101) % 7 == 3
            row[column["name"]] = None if is_null else value(n, mix(n, i + 1), column, shop_set, size)
        out.append(row)
    return out


def moment(value_ms):
    return EPOCH + datetime.timedelta(milliseconds=value_ms)


def day(value_days):
    return EPOCH + datetime.timedelta(days=value_days)


def canonical(kind, value):
    if value is None:
        return "\u2400"
    if kind == "Decimal":
        return decimal(value)
    if kind == "Double":
        return str(int(value * 8))
    if kind == "Date":
        return day(value).date().isoformat()
    if kind == "Boolean":
        return "true" if value else "false"
    return str(value)


def sha256(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def total(kind, values):
    if kind == "Decimal":
        return decimal(sum(values))
    text = str(sum(values))
    return text.removesuffix(".0")


def truth(size, type_names=None):
    """`type_names` renames a type where the service's OData version has another name for it."""
    out = {}
    for name, shop_set in SHOP["sets"].items():
        table, key, columns = rows(name, size), shop_set["columns"][0]["name"], {}
        for column in shop_set["columns"]:
            kind = column["type"]
            values = [row[column["name"]] for row in table]
            present = [v for v in values if v is not None]
            facts = {"type": "Edm." + (type_names or {}).get(kind, kind), "non_null": len(present)}
            if kind in ("Int32", "Int64", "Decimal", "Double"):
                facts["sum"] = total(kind, present)
            if kind in ("Date", "DateTimeOffset"):
                ends = min(present), max(present)
                if kind == "Date":
                    facts["min"], facts["max"] = (canonical(kind, v) for v in ends)
                else:
                    facts["min"], facts["max"] = (moment(v).isoformat(timespec="milliseconds") + "Z" for v in ends)
            facts["sha256"] = sha256("\u001e".join(canonical(kind, v) for v in values))
            columns[column["name"]] = facts
        ids = "".join(f"{row[key]}\n" for row in table)
        out[name] = {"key": key, "count": len(table), "ids_sha256": sha256(ids), "columns": columns}
    return out
