"""A slow reference for the tables that haul makes: the rules of docs/JOBS.md and of the rooms' descriptions, applied
column by column to whole lists of values, after all records were read. It shares nothing with haul."""

import re
from datetime import date

import json

from slowjson import Invalid, compact, depth, read_document

SAMPLE_ROWS, BATCH_ROWS, BATCH_BYTES = 20_000, 8_192, 16 * 1024 * 1024
TEXT_CHARS, FLATTEN_DEPTH, JSON_DEPTH, NAME_CHARS = 32_000, 8, 100, 128
MONEY, WIDE, HUGE = "decimal(18,4)", "decimal(38,10)", "decimal(38,0)"
DAY = 86_400_000_000


class Refused(Exception):
    """haul must not make a table; `row` is the record that it has to name, if it is one."""

    def __init__(self, why, row=None):
        super().__init__(why)
        self.why, self.row = why, row


class Number:
    """± digits × 10^exponent, without zeros at either end; zero has no digits."""

    PARTS = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?\Z", re.ASCII)

    def __init__(self, text):
        found = self.PARTS.match(text)
        if not found:
            raise ValueError(text)
        sign, whole, fraction, power = found[1], found[2], found[3] or "", int(found[4] or 0)
        digits = (whole + fraction).lstrip("0")
        self.text = text
        self.digits = digits.rstrip("0")
        self.exponent = power - len(fraction) + len(digits) - len(self.digits) if digits else 0
        self.sign = "-" if sign and digits else ""
        self.has_fraction = len(fraction) > power
        self.whole = max(0, len(self.digits) + self.exponent)
        self.fraction = max(0, -self.exponent)

    def units(self, scale):
        """The value × 10^scale; None where that is no whole number."""
        if self.fraction > scale:
            return None
        return int(f"{self.sign}{self.digits or 0}") * 10 ** (self.exponent + scale)

    def is_i64(self):
        return self.fraction == 0 and self.whole <= 19 and -(2**63) <= self.units(0) < 2**63

    def fits_decimal(self):
        return (self.fraction == 0 and self.whole <= 38) or (self.fraction <= 10 and self.whole <= 28)

    def fits_float(self):
        if self.is_i64():
            return abs(self.units(0)) <= 2**53
        if len(self.digits) <= 15 and abs(self.exponent) < 200:
            return True
        value = float(self.text)
        if len(self.digits) > 17 or value == 0 or value in (float("inf"), float("-inf")):
            return False
        back = Number(repr(value))
        return not self.fits_decimal() or (back.digits, back.exponent) == (self.digits, self.exponent)

    def fits(self, kind):
        """Whether a column of a numeric type keeps the number as it is."""
        if kind == "integer":
            return self.is_i64()
        if kind == "float":
            return self.fits_float()
        precision, scale = decimal_parts(kind)
        return self.fraction <= scale and self.whole + scale <= precision

    def canonical(self):
        """The spelling in a text column."""
        if not self.fits_decimal() and self.fits_float():
            return Number(repr(float(self.text))).exact()
        return self.exact()

    def exact(self):
        digits = self.digits
        if len(digits) > 38 or abs(self.exponent) > 100_000:
            return self.text
        if not digits:
            return "0"
        if self.whole > 38 or self.fraction > 38:
            point = "." if len(digits) > 1 else ""
            return f"{self.sign}{digits[0]}{point}{digits[1:]}e{self.exponent + len(digits) - 1}"
        if self.exponent >= 0:
            return self.sign + digits + "0" * self.exponent
        padded = digits.rjust(self.fraction + 1, "0")
        return f"{self.sign}{padded[: -self.fraction]}.{padded[-self.fraction :]}"


def decimal_parts(kind):
    return tuple(int(part) for part in kind[len("decimal(") : -1].split(","))


def numeric_kind(numbers):
    """The narrowest type for a set of numbers, in whatever order they came."""
    whole, fraction = max(n.whole for n in numbers), max(n.fraction for n in numbers)
    if all(n.fits_decimal() for n in numbers):
        if not fraction and not any(n.has_fraction for n in numbers):
            return "integer" if all(n.is_i64() for n in numbers) else HUGE
        if whole <= 14 and fraction <= 4:
            return MONEY
        if whole <= 28 and fraction <= 10:
            return WIDE
    return "float" if all(n.fits_float() for n in numbers) else "text"


ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?\Z", re.ASCII
)
DOTNET = re.compile(r"/Date\((-?\d+)([+-]\d{1,5})?\)/\Z", re.ASCII)
EPOCH = date(1970, 1, 1).toordinal()
SHOWN = range(date(1900, 1, 1).toordinal() - EPOCH, date(9999, 12, 31).toordinal() - EPOCH + 1)


def moment_of(text):
    """`(shape, microseconds as written, microseconds on UTC, digits were cut)`, or None."""
    dotnet = DOTNET.match(text)
    if dotnet:
        if len(dotnet[1]) > 25 or abs(int(dotnet[1])) > 400_000_000_000_000:
            return None
        micros = int(dotnet[1]) * 1000
        return ("instant" if dotnet[2] else "datetime", micros, micros, False)
    found = ISO.match(text)
    if not found:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    try:
        days = date(year or 400, month, day).toordinal() - EPOCH - (0 if year else 146_097)
    except ValueError:
        return None
    if found[4] is None:
        return ("date", days * DAY, days * DAY, False)
    hour, minute, second, fraction = int(found[4]), int(found[5]), int(found[6] or 0), (found[7] or "").ljust(9, "0")
    if hour > 23 or minute > 59 or second > 59:
        return None
    wall = days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction[:6])
    cut = fraction[6:] != "000"
    if found[8] is None:
        return ("datetime", wall, wall, cut)
    offset = 0
    if found[8] != "Z":
        digits = found[8][1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 18 or int(digits[2:]) > 59:
            return None
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if found[8][0] == "-" else 1)
    return ("instant", wall, wall - offset * 60_000_000, cut)


def spelled(kind, micros):
    """A date or timestamp in a text column."""
    days, rest = divmod(micros, DAY)
    # Python knows the years 1 to 9999; those of any 400 years are alike.
    cycles, of_cycle = divmod(days + EPOCH - 1, 146_097)
    first = date.fromordinal(of_cycle + 1)
    year = first.year + 400 * cycles
    day = f"{year:04}" if 0 <= year <= 9999 else f"{year:+05}"
    day += first.isoformat()[4:]
    if kind == "date":
        return day
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{day}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if fraction:
        text += f".{fraction:06}".rstrip("0")
    return text + ("Z" if kind == "instant" else "")


JOINED = {
    (None, "date"): "date",
    ("date", "date"): "date",
    (None, "datetime"): "datetime",
    ("date", "datetime"): "datetime",
    ("datetime", "datetime"): "datetime",
    ("datetime", "date"): "datetime",
    (None, "instant"): "instant",
    ("instant", "instant"): "instant",
}


def name_of(path):
    name = "_".join(re.sub(r"[^A-Za-z0-9_]", "_", key) for key in path)
    if not name or name[0].isdigit():
        name = "_" + name
    if len(name) > NAME_CHARS:
        raise Refused("the name is too long")
    return name


class Column:
    """All values of one field: `(row, kind, value)`, kinds being boolean, number, string and json."""

    def __init__(self, name, fixed=None, start=None, has_limits=True):
        self.name, self.fixed, self.start, self.has_limits = name, fixed, start, has_limits
        self.values = []
        self.warnings = {}

    def warn(self, kind):
        self.warnings[kind] = self.warnings.get(kind, 0) + 1

    def cut(self, text):
        units = text.encode("utf-16-le")
        if not self.has_limits or len(units) <= 2 * TEXT_CHARS:
            return text
        self.warn("text_truncated")
        # Half a character is left out.
        return units[: 2 * TEXT_CHARS].decode("utf-16-le", "ignore")

    def shown(self, moment, wanted):
        """Microseconds of a moment that Power BI can show, else None."""
        if moment[3]:
            self.warn("fraction_truncated")
        micros = moment[1] if wanted == "date" else moment[2]
        if self.has_limits and micros // DAY not in SHOWN:
            self.warn("date_out_of_range")
            return None
        return micros

    def finish(self, batch_of):
        """`(type, {row: value})`; values of text columns are texts, of timestamps microseconds, of decimals units."""
        if self.fixed:
            return self.fixed, {row: self.fixed_value(row, kind, value) for row, kind, value in self.values}
        kinds = {kind for _, kind, _ in self.values}
        if not kinds:
            return self.start or "text", {}
        if not self.has_limits and self.values[0][1] == "json":
            return self.lists(kinds, batch_of)
        if self.start != "text" and kinds in ({"boolean"}, {"json"}):
            value_of = (lambda value: value) if kinds == {"boolean"} else self.cut
            return kinds.pop(), {row: value_of(value) for row, _, value in self.values}
        if self.start != "text" and kinds == {"number"}:
            numbers = {row: Number(value) for row, _, value in self.values}
            kind = numeric_kind(numbers.values())
            if kind != "text":
                return kind, {row: typed(kind, number) for row, number in numbers.items()}
        shape, end = None if self.start != "text" else "text", 0
        for end, (_, kind, value) in enumerate(self.values + [(None, "end", None)]):
            moment = moment_of(value) if kind == "string" else None
            joined = JOINED.get((shape, moment[0])) if moment else None
            if not joined:
                break
            shape = joined
        if end == len(self.values):
            days = DAY if shape == "date" else 1
            moments = {row: self.shown(moment_of(value), shape) for row, _, value in self.values}
            return shape, {row: None if micros is None else micros // days for row, micros in moments.items()}
        # Moments that a batch showed as such stay in the one spelling of their type; all others are as they were sent.
        if end and batch_of(self.values[0][0]) == batch_of(self.values[end][0]) and not self.start:
            end = 0
        texts = {}
        for row, _, value in self.values[:end]:
            micros = self.shown(moment_of(value), shape)
            texts[row] = None if micros is None else spelled(shape, micros)
        for row, kind, value in self.values[end:]:
            texts[row] = self.cut(self.text_of(kind, value))
        return "text", texts

    def lists(self, kinds, batch_of):
        """A column that begins with JSON, for readers that know lists of scalars."""
        nodes = [read_document(value) if kind == "json" else ("scalar", None) for _, kind, value in self.values]
        # So many values from the first one on are lists of one type.
        end, beyond = 0, len(nodes) + 1
        while beyond - end > 1:
            middle = (end + beyond) // 2
            end, beyond = (middle, beyond) if item_kind(nodes[:middle]) else (end, middle)
        if end == len(self.values):
            kind = item_kind(nodes)
            lists = {}
            for (row, _, _), node in zip(self.values, nodes):
                lists[row] = [None if item[0] == "null" else item_value(kind, item) for item in node[1]]
            return f"list({kind})", lists
        texts = {row: self.text_of(kind, value) for row, kind, value in self.values}
        # Lists that a batch showed as such have one spelling.
        for (row, _, _), node in zip(self.values, nodes):
            if batch_of(row) < batch_of(self.values[end][0]):
                texts[row] = f"[{','.join(item_text(item) for item in node[1])}]"
        return "json" if kinds == {"json"} else "text", texts

    @staticmethod
    def text_of(kind, value):
        if kind == "boolean":
            return "true" if value else "false"
        return Number(value).canonical() if kind == "number" else value

    def fixed_value(self, row, kind, value):
        wanted = self.fixed
        if wanted in ("text", "json"):
            return self.cut(("true" if value else "false") if kind == "boolean" else value)
        if kind == "string" and value == "":
            return None
        if wanted == "boolean" and (kind == "boolean" or value in ("true", "false")):
            return value in (True, "true")
        if wanted in ("date", "datetime", "instant") and kind == "string":
            moment = moment_of(value)
            if moment and (wanted != "date" or moment[1] % DAY == 0):
                micros = self.shown(moment, wanted)
                return micros // DAY if micros is not None and wanted == "date" else micros
        if (wanted in ("integer", "float") or wanted.startswith("decimal")) and kind in ("number", "string"):
            if wanted == "float" and kind == "string" and value in ("INF", "-INF", "NaN"):
                self.warn("float_not_finite")
                return None
            digits = value[:-1] if kind == "string" and value[-1] in "MmLlDdFf" else value
            number = Number(digits) if Number.PARTS.match(digits) else None
            if number and wanted == "float":
                double = float(number.text)
                if double in (float("inf"), float("-inf")):
                    self.warn("float_not_finite")
                    return None
                return double
            if number and number.fits(wanted):
                return typed(wanted, number)
        raise Refused(f"{wanted} does not take {kind} {value!r:.60}", row)


def item_kind(nodes):
    """The type of the items of all lists; None = something is no list of scalars, or they are no values of one type."""
    if any(node[0] != "array" for node in nodes):
        return None
    items = [item for node in nodes for item in node[1] if item[0] != "null"]
    kinds = {item[0] for item in items}
    if kinds == {"number"}:
        kind = numeric_kind([Number(item[1]) for item in items])
        return None if kind == "text" else kind
    return {(): "text", ("string",): "text", ("boolean",): "boolean"}.get(tuple(kinds))


def item_value(kind, item):
    return typed(kind, Number(item[1])) if item[0] == "number" else item[1]


def item_text(item):
    kind, value = item[:2]
    if kind == "string":
        return json.dumps(value, ensure_ascii=False)
    return "null" if kind == "null" else Column.text_of(kind, value)


def typed(kind, number):
    if kind == "float":
        return float(number.text)
    return number.units(0 if kind == "integer" else decimal_parts(kind)[1])


class Table:
    """The table of some records: `columns` = `[(name, type, {row: value})]` in their order."""

    def __init__(self, records, declared=None, is_odata=False, start=None, has_limits=True):
        self.has_limits = has_limits
        self.declared = {name.lower(): (name, kind) for name, kind in (declared or {}).items()}
        self.is_odata, self.start = is_odata, {name.lower(): kind for name, kind in (start or {}).items()}
        self.lanes, self.objects, self.appeared, self.names = {}, set(), {}, {}
        self.ends, self.rows = [], len(records)
        self.unordered = set()
        rows = size = 0
        for row, text in enumerate(records):
            try:
                node = read_document(text)
            except Invalid as error:
                raise self.earliest(Refused(str(error), row)) from None
            if node[0] != "object":
                raise self.earliest(Refused("not an object", row))
            try:
                self.walk(text, node, (), row)
            except Refused as refused:
                raise self.earliest(refused) from None
            rows, size = rows + 1, size + len(text.encode())
            if rows == (BATCH_ROWS if self.ends else SAMPLE_ROWS) or size >= BATCH_BYTES:
                self.ends.append(row + 1)
                rows = size = 0
        self.columns, self.warnings = self.finish()

    def batch_of(self, row):
        return sum(end <= row for end in self.ends)

    def walk(self, text, node, path, row):
        seen = set()
        for key, (kind, value, start, end) in node[1]:
            if self.is_odata and ("@odata." in key or key in ("__metadata", "__deferred")):
                continue
            if key in seen:
                raise Refused(f"twice:{'.'.join((*path, key))}", row)
            seen.add(key)
            at = (*path, key)
            self.appeared.setdefault(at, len(self.appeared))
            if kind == "null":
                if at not in self.objects:
                    self.lane(at)
                continue
            declared = self.declared.get(name_of(at).lower())
            if kind == "object" and len(path) < FLATTEN_DEPTH and not declared:
                self.objects.add(at)
                self.walk(text, (kind, value), at, row)
                continue
            if kind in ("object", "array"):
                if declared and declared[1] not in ("text", "json"):
                    raise Refused(f"{declared[1]} takes no {kind}", row)
                if depth((kind, value)) > JSON_DEPTH - len(path) - 1:
                    raise Refused("too deep", row)
                kind, value = "json", compact(text[start:end])
            elif declared and declared[1] == "json":
                kind, value = "json", text[start:end]
            self.lane(at).values.append((row, kind, value))

    def lane(self, at):
        if at not in self.lanes:
            name = name_of(at)
            if self.names.setdefault(name.lower(), at) != at:
                raise Refused(f"`{name}` is made twice")
            name, fixed = self.declared.get(name.lower(), (name, None))
            self.lanes[at] = Column(name, fixed, self.start.get(name.lower()), self.has_limits)
        return self.lanes[at]

    def earliest(self, refused):
        """The same, or what an earlier value of a declared column is refused for."""
        for column in self.lanes.values():
            try:
                column.finish(self.batch_of)
            except Refused as other:
                if other.row is not None and (refused.row is None or other.row < refused.row):
                    refused = other
        return refused

    def finish(self):
        refused = self.earliest(Refused("", self.rows))
        if refused.row < self.rows:
            raise refused
        columns, warnings = [], {}
        for at, column in sorted(self.lanes.items(), key=lambda lane: self.appeared[lane[0]]):
            column.warnings = {}
            if at in self.objects and not column.values and not column.fixed:
                continue
            if at in self.objects:
                self.unordered.add(column.name)
            columns.append((column.name, *column.finish(self.batch_of)))
            warnings.update({(column.name, kind): count for kind, count in column.warnings.items()})
        known = {name for name, _, _ in columns}
        columns += [(name, kind, {}) for _, (name, kind) in sorted(self.declared.items()) if name not in known]
        return columns, warnings
