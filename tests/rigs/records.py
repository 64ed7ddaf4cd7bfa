"""Makes random tables of JSON records, the same for the same seed.

    records.py FOLDER --seed N --tables N --tall N

Each table is `FOLDER/NAME.records` (the texts of its records, divided by zero bytes) and an entry in
`FOLDER/tables.json`: its name, how many records a page has, and the types that a job may declare.
"""

import argparse
import json
import random
from pathlib import Path

KEYS = ["id", "Name", "a.b", "first name", "Größe", "2024", "x-y", "Datum", "価格", "e\u0301t", "q\"uote", "back\\slash"]
CHARS = "aZ09 _-/\\\"'ß€é漢😀\u0000\u0001\b\f\n\r\t\u007f\u2028\ufeff\ufffd\U0010ffff"
TEXTS = ["", " ", "null", "true", "1.5", "007", "INF", "2024-13-01", "2024-02-30", "2024-1-31", "2024-01-31T24:00",
         "2024-01-31T10:20:30.", "2024-01-31T10:20+19:00", "2024-01-31Z", "/Date(x)/", "/Date(99999999999999999)/", "12:30"]
EDGES = ["0", "-0", "-0.0", "0.000", "0e5", "1.0", "1E+2", "15e-1", "1e3", "-1.50", "9223372036854775807",
         "-9223372036854775808", "9223372036854775808", "18446744073709551616", "9007199254740993", "9007199254740992",
         "1e400", "-1e400", "1e-400", "1e300", "0.1", "0.30000000000000004", "0.10000000000000001", "99999999999999.9999",
         "100000000000000", "99999999999999999999999999999999999999", "123456789012345678901234567890123456789",
         "9007199254.7409931", "123456.1234567891", "4.9e-324", "1.7976931348623157e308", "1e38", "1e28", "0.00001"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def digits(self, most):
        return "".join(self.random.choices("0123456789", k=self.random.randint(1, most)))

    def whole(self, most):
        return str(int(self.digits(most)))

    def sign(self):
        return self.random.choice(["", "", "-"])

    def number(self):
        pick = self.random.randrange(6)
        if pick == 0:
            return self.random.choice(EDGES)
        if pick == 1:
            return self.sign() + self.whole(40)
        if pick == 2:
            return f"{self.sign()}{self.whole(20)}.{self.digits(40)}"
        if pick == 3:
            power = self.random.choice(["", "+", "-"]) + self.digits(self.random.choice([1, 2, 3]))
            return f"{self.sign()}{self.whole(3)}.{self.digits(16)}{self.random.choice('eE')}{power}"
        if pick == 4:
            return repr(self.random.uniform(-1e6, 1e6))
        return self.sign() + self.whole(1) + "." + self.digits(self.random.choice([100, 400]))

    def date(self):
        year = self.random.choice([1900, 1970, 1999, 2000, 2024, 2024, 2024, 9999] * 4 + [0, 1, 1899])
        return f"{year:04}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"

    def clock(self):
        text = self.date() + self.random.choice("TTT ") + f"{self.random.randrange(24):02}:{self.random.randrange(60):02}"
        if self.random.random() < 0.8:
            text += f":{self.random.randrange(60):02}"
            if self.random.random() < 0.5:
                text += "." + self.digits(9)
        return text

    def zone(self):
        hours, minutes = self.random.randrange(15), self.random.choice([0, 0, 30, 45])
        return self.random.choice(["Z", f"+{hours:02}:{minutes:02}", f"-{hours:02}{minutes:02}", f"+{hours:02}"])

    def dotnet(self, offset):
        return f"/Date({self.random.randrange(-2_000_000_000_000, 4_000_000_000_000)}{offset})/"

    def text(self):
        pick = self.random.randrange(12)
        if pick == 0:
            return self.random.choice(TEXTS)
        if pick == 1:
            piece = "".join(self.random.choices(CHARS, k=7))
            return piece * self.random.choice([1, 1, 1, 4_600 if self.random.random() < 0.3 else 3])
        return "".join(self.random.choices(CHARS, k=self.random.randrange(9)))

    def string(self, text):
        """A JSON string: every character as it is, as an escape, or as two where it needs two."""
        out = []
        short = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "/": "\\/"}
        rarely = 0.1 if len(text) < 1000 else 0.01
        for c in text:
            if c in short and (c != "/" or self.random.random() < 0.5):
                out.append(short[c])
            elif ord(c) < 32 or self.random.random() < rarely:
                escaped = json.dumps(c)[1:-1] if ord(c) > 126 else f"\\u{ord(c):04x}"
                out.append(escaped.upper().replace("\\U", "\\u") if self.random.random() < 0.5 else escaped)
            else:
                out.append(c)
        return f'"{"".join(out)}"'

    def blank(self):
        return "" if self.random.random() < 0.9 else self.random.choice([" ", "  ", "\t", "\n", "\r\n "])

    def many(self, opening, items, closing):
        inside = ",".join(self.blank() + item + self.blank() for item in items)
        return opening + inside + (self.blank() if not items else "") + closing

    def object(self, members):
        return self.many("{", [f"{self.string(k)}{self.blank()}:{self.blank()}{v}" for k, v in members], "}")

    def tree(self, levels):
        """Any JSON value; objects in it may even say a name twice, for what stays JSON stays as it was sent."""
        pick = self.random.randrange(8 if levels else 5)
        if pick < 5:
            return [self.number, lambda: self.string(self.text()), lambda: "true", lambda: "null", lambda: "false"][pick]()
        if pick < 7:
            return self.many("[", [self.tree(levels - 1) for _ in range(self.random.randrange(4))], "]")
        keys = self.random.choices(["k", "l", "ü", ""], k=self.random.randrange(4))
        return self.object([(key, self.tree(levels - 1)) for key in keys])

    def value(self, family):
        if family == "array":
            return self.many("[", [self.tree(3) for _ in range(self.random.randrange(4))], "]")
        if family.startswith("list "):
            item = family.removeprefix("list ")
            items = [self.value(self.random.choice([item] * 6 + ["null"])) for _ in range(self.random.randrange(5))]
            return self.many("[", items, "]")
        if family == "deep":
            levels = self.random.randrange(5, 80)
            return "[" * levels + self.tree(0) + "]" * levels
        texts = {"date": self.date, "clock": self.clock, "instant": lambda: self.clock() + self.zone(), "text": self.text,
                 "dotnet": lambda: self.dotnet(""), "dotnet_zone": lambda: self.dotnet("+0200")}
        if family in texts:
            return self.string(texts[family]())
        plain = {"small": lambda: str(self.random.randrange(-999, 1000)), "int": lambda: self.sign() + self.whole(18),
                 "money": lambda: f"{self.sign()}{self.whole(9)}.{self.digits(4)}", "number": self.number,
                 "fine": lambda: f"{self.sign()}{self.whole(9)}.{self.digits(10)}", "huge": lambda: self.sign() + self.whole(38),
                 "float": lambda: repr(self.random.uniform(-1e3, 1e3) * 10 ** self.random.randint(-20, 20)),
                 "edge": lambda: self.random.choice(EDGES), "zeros": lambda: self.random.choice(["1.0", "-0.0", "7", "20e-1", "5e3"]), "boolean": lambda: self.random.choice(["true", "false"]),
                 "null": lambda: "null", "any": lambda: self.value(self.random.choice(FAMILIES))}
        return plain[family]()


FAMILIES = ["small", "int", "money", "fine", "huge", "float", "edge", "zeros", "number", "boolean", "date", "clock", "instant",
            "dotnet", "dotnet_zone", "text", "array", "deep", "null"]
LISTS = ["list small", "list int", "list money", "list fine", "list float", "list boolean", "list date", "list text", "list null"]
FAMILIES += LISTS
# What a column of one family likely meets next: a step of the lattice.
NEXT = {"null": FAMILIES, "small": ["int", "money", "huge", "float", "fine", "edge", "text", "zeros"], "int": ["money", "huge", "edge", "zeros"],
        "money": ["fine", "float", "huge", "number"], "fine": ["float", "huge"], "huge": ["money", "zeros", "fine"], "zeros": ["int", "huge", "fine", "float"],
        "float": ["number", "text"], "date": ["clock", "dotnet", "instant", "text"], "clock": ["date", "instant", "text"],
        "instant": ["dotnet_zone", "date", "text"], "dotnet": ["clock", "date"], "boolean": ["text", "small"],
        "dotnet_zone": ["instant", "clock"], **{family: [*LISTS, "list huge", "list edge", "array", "text"] for family in LISTS}}
DECLARED = {"small": ["integer", "decimal(18,4)", "text", "json", "float"], "money": ["decimal(18,4)", "float", "text"],
            "int": ["integer", "decimal(38,10)", "json"], "fine": ["decimal(38,10)", "float", "text"],
            "huge": ["decimal(38,0)", "float", "text"], "float": ["float", "text", "json"], "date": ["date", "datetime", "text"],
            "clock": ["datetime", "instant", "json"], "instant": ["instant", "datetime"], "dotnet": ["datetime", "instant"],
            "dotnet_zone": ["instant", "text"], "boolean": ["boolean", "text", "json"], "array": ["json", "text"],
            "deep": ["json", "text"], "number": ["float", "text", "json"], "edge": ["float", "text"], "text": ["text", "json"],
            "null": ["integer", "date", "text", "boolean", "json"]}


class TableMaker(Maker):
    """One table. A column is a path with what it holds first, and what it holds from some record on."""

    def __init__(self, seed, is_tall):
        super().__init__(seed)
        pick = self.random
        self.rows = pick.randint(20_001, 30_000) if is_tall else pick.choice([0, 1, 3, 40, 90, 150])
        self.columns = []
        for at in range(pick.randint(2, 3) if is_tall else pick.randint(1, 12)):
            key = pick.choice(KEYS) + (str(at) if pick.random() < 0.98 else "")
            above = [f"o{pick.randrange(3)}" for _ in range(pick.choice([0, 0, 0, 1, 2, 9] if not is_tall else [0, 0, 1]))]
            family = pick.choice([it for it in FAMILIES if not is_tall or it not in ("deep", "text", "array", "number")])
            later = pick.choice(NEXT.get(family, [family])) if pick.random() < (0.9 if is_tall else 0.5) else family
            turn = pick.choice([pick.randrange(self.rows + 1), pick.randrange(20_000, self.rows + 1) if is_tall else 0])
            missing = pick.choice([0, 0, 0.02, 0.5])
            self.columns.append(([*above, key], family, later, turn, missing))
        self.declared = {}
        for path, family, later, _, _ in self.columns:
            if family in DECLARED and (family == later or pick.random() < 0.02) and len(path) < 9 and pick.random() < 0.6:
                name = "".join(c if c.isascii() and c.isalnum() else "_" for c in "_".join(path))
                self.declared["_" + name if name[0].isdigit() else name] = pick.choice(DECLARED[family])

    def record(self, row):
        tree = {}
        for path, family, later, turn, missing in self.columns:
            if self.random.random() < missing:
                continue
            *above, key = path
            inside = tree
            for name in above:
                inside = inside.setdefault(name, {})
            wanted = later if row >= turn else family
            inside[key] = "null" if self.random.random() < missing / 2 else self.value(wanted)
        return self.assemble(tree)

    def assemble(self, tree):
        members = [(k, self.assemble(v) if isinstance(v, dict) else v) for k, v in tree.items()]
        if self.random.random() < 0.2:
            self.random.shuffle(members)
        if members and isinstance(tree.get("o0"), dict) and self.random.random() < 0.02:
            members = [(k, "null" if k == "o0" else v) for k, v in members]
        return self.object(members)

    def spoil(self, record):
        """A record that no table may come of."""
        members = [("s", "1"), ("t", '"x"')]
        return self.random.choice([
            self.object([*members, ("s", "2")]),
            self.object([("o9", self.object([("x", "1"), ("y", "2"), ("x", "null")]))]),
            '{"s":1,"\\u0073":1}',
            self.object([("deep", "[" * 101 + "]" * 101)]),
            '{"s":"\\ud800"}', '{"s":"\\udc00\\ud800"}', '{"\\ud83d":1}', '{"s":["\\ude00"]}', '{"s":01}', '{"s":+1}',
            '{"s":1.}', '{"s":.5}', '{"s":1e}', '{"s":"\t"}', '{"s":"\\x"}', '{"s":NaN}', "{'s':1}", '{"s":1,}',
            self.object([("A_b", "1"), ("a-B", "2")]),
            self.object([("k" * 129, "1")]),
        ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tables", type=int, required=True)
    parser.add_argument("--tall", type=int, required=True)
    args = parser.parse_args()
    tables = []
    for at in range(args.tables + args.tall):
        maker = TableMaker(args.seed * 1_000_003 + at, at >= args.tables)
        records = [maker.record(row) for row in range(maker.rows)]
        if records and at < args.tables and maker.random.random() < 0.15:
            records[maker.random.randrange(len(records))] = maker.spoil(records[0])
        name = f"t{at}"
        (args.folder / f"{name}.records").write_bytes(b"\0".join(record.encode() for record in records))
        page_rows = maker.random.choice([1, 7, 60, 1_000]) if len(records) < 1_000 else maker.random.choice([977, 20_000])
        tables.append({"name": name, "rows": len(records), "page_rows": page_rows, "declared": maker.declared})
    (args.folder / "tables.json").write_text(json.dumps(tables))


if __name__ == "__main__":
    main()
