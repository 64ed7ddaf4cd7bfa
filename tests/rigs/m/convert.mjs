// From texts to values and between types, for the culture en-US.
import { Binary, MError, Moment, Unknown, expressionError, kindOf, plain } from "./values.mjs";

const dataError = (message, detail) => new MError("DataFormat.Error", message, detail);
const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}(?:\.\d{1,7})?))?)?(Z|[+-]\d{2}:\d{2})?$/;
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

function offsetOf(zone) {
  if (zone === "Z") return 0;
  const [hours, minutes] = zone.slice(1).split(":").map(Number);
  return (zone[0] === "-" ? -1 : 1) * (hours * 60 + minutes);
}

/** A moment in ISO. What the engine would read by the zone of its machine is not known here. */
export function isoMoment(text, kind) {
  const found = ISO.exec(text.trim());
  if (!found) throw dataError(`We couldn't parse the input provided as a ${kind} value.`, text);
  const [, year, month, day, hour, minute, second, zone] = found;
  if (zone && kind !== "datetimezone") throw new Unknown(`\`${text}\` as ${kind}: the engine reads it by its machine's zone`);
  if (kind === "datetimezone" && !zone) throw new Unknown(`\`${text}\` as ${kind}: the engine adds its machine's zone`);
  const made = Moment.of(kind, [year, month, day, hour, minute, second], zone ? offsetOf(zone) : 0);
  return kind === "date" ? new Moment("date", made.date) : made;
}

/** A custom format of .NET as a pattern, with the names of its parts. */
function pattern(format) {
  const parts = [];
  let source = "";
  const literal = (text) => (source += text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const words = { yyyy: "(\\d{4})", MMMM: `(${MONTHS.join("|")})`, MMM: `(${MONTHS.map((name) => name.slice(0, 3)).join("|")})`, tt: "(AM|PM)" };
  for (const word of ["MM", "dd", "HH", "hh", "mm", "ss"]) words[word] = "(\\d{2})";
  for (let at = 0; at < format.length; ) {
    const rest = format.slice(at);
    const quoted = /^'([^']*)'/.exec(rest);
    const word = /^(y+|M+|d+|H+|h+|m+|s+|t+|f+|F+|\.F+)/.exec(rest)?.[0];
    if (quoted) {
      literal(quoted[1]);
      at += quoted[0].length;
    } else if (rest[0] === "\\") {
      literal(rest[1]);
      at += 2;
    } else if (word && /^\.?F+$/.test(word)) {
      const digits = word.replace(".", "").length;
      source += word[0] === "." ? `(?:\\.(\\d{1,${digits}}))?` : `(\\d{0,${digits}})`;
      parts.push("fraction");
      at += word.length;
    } else if (word && /^f+$/.test(word)) {
      source += `(\\d{${word.length}})`;
      parts.push("fraction");
      at += word.length;
    } else if (word) {
      // Two digits of a year are read by a border that is the machine's.
      if (!(word in words)) throw new Unknown(`\`${word}\` in the format ${format}`);
      source += words[word];
      parts.push(word);
      at += word.length;
    } else if ("-/:., _".includes(rest[0])) {
      literal(rest[0]);
      at += 1;
    } else {
      throw new Unknown(`\`${rest[0]}\` in the format ${format}`);
    }
  }
  return { expression: new RegExp(`^${source}$`), parts };
}

export function spelledMoment(text, format, kind) {
  const { expression, parts } = pattern(format);
  const found = expression.exec(text);
  if (!found) throw dataError(`We couldn't parse the input provided as a ${kind} value.`, text);
  const seen = Object.fromEntries(parts.map((part, index) => [part, found[index + 1]]));
  const named = seen.MMMM ?? seen.MMM;
  const month = named ? MONTHS.findIndex((name) => name.startsWith(named)) + 1 : seen.MM;
  const hour = seen.hh === undefined ? (seen.HH ?? 0) : (Number(seen.hh) % 12) + (seen.tt === "PM" ? 12 : 0);
  const made = Moment.of(kind, [seen.yyyy, month, seen.dd, hour, seen.mm ?? 0, `${seen.ss ?? 0}.${seen.fraction || 0}`]);
  return kind === "date" ? new Moment("date", made.date) : made;
}

export function numberOf(text) {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) throw dataError("We couldn't convert to Number.", text);
  const value = Number(trimmed);
  return Number.isSafeInteger(value) || !/^[+-]?\d+$/.test(trimmed) ? value : BigInt(trimmed.replace("+", ""));
}

function whole(value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return value;
  if (!Number.isFinite(value)) throw expressionError("The number is no whole number.");
  const [down, part] = [Math.floor(value), value - Math.floor(value)];
  return part < 0.5 || (part === 0.5 && down % 2 === 0) ? down : down + 1;
}

const CURRENCY_MAX = 922_337_203_685_477.6;

const CONVERT = {
  text(value) {
    if (typeof value === "string") return value;
    if (typeof value === "boolean" || kindOf(value) === "number") return String(value);
    throw new Unknown(`text of a ${kindOf(value)}`);
  },
  number(value) {
    if (typeof value === "string") return numberOf(value);
    if (typeof value === "boolean") return value ? 1 : 0;
    if (kindOf(value) === "number") return value;
    throw expressionError(`We cannot convert a value of type ${kindOf(value)} to type Number.`);
  },
  "Int64.Type": (value) => whole(CONVERT.number(value)),
  "Currency.Type"(value) {
    const number = CONVERT.number(value);
    if (Math.abs(Number(number)) > CURRENCY_MAX) throw expressionError("The number is out of the range of a fixed decimal.");
    return typeof number === "bigint" ? number : Number(number.toFixed(4));
  },
  logical(value) {
    if (typeof value === "boolean") return value;
    if (typeof value === "string" && /^(true|false)$/i.test(value)) return value.toLowerCase() === "true";
    if (typeof value === "number") return value !== 0;
    throw dataError("We couldn't convert to Logical.", value);
  },
  date(value) {
    if (typeof value === "string") return isoMoment(value, "date");
    if (value instanceof Moment && value.kind !== "time") return new Moment("date", value.date);
    throw expressionError(`We cannot convert a value of type ${kindOf(value)} to type Date.`);
  },
  datetime(value) {
    if (typeof value === "string") return isoMoment(value, "datetime");
    if (value instanceof Moment && ["date", "datetime"].includes(value.kind)) return new Moment("datetime", value.micros);
    throw new Unknown(`a datetime of a ${value instanceof Moment ? value.kind : kindOf(value)}`);
  },
  any: (value) => value,
};
CONVERT["Double.Type"] = (value) => Number(CONVERT.number(value));

/** A value as one of a type; null stays null. */
export function convert(value, type) {
  const seen = plain(value);
  if (seen === null) return null;
  const to = CONVERT[type.name];
  if (!to) throw new Unknown(`a conversion to ${type.name}`);
  return to(seen);
}

/** The lines of a CSV file, quotes significant right after a delimiter. */
export function csvLines(bytes, delimiter) {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes instanceof Binary ? bytes.open() : bytes);
  const [lines, line] = [[], { fields: [], isEmpty: true }];
  let at = 0;
  const end = () => {
    if (!line.isEmpty) lines.push(line.fields);
    Object.assign(line, { fields: [], isEmpty: true });
  };
  while (at < text.length) {
    let field = "";
    if (text[at] === '"') {
      for (at += 1; ; at += 1) {
        if (at >= text.length) throw dataError("A quote in the CSV file is not closed.");
        if (text[at] !== '"') field += text[at];
        else if (text[at + 1] === '"') {
          field += '"';
          at += 1;
        } else break;
      }
      at += 1;
    }
    while (at < text.length && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r") {
      field += text[at];
      at += 1;
    }
    line.fields.push(field);
    line.isEmpty = false;
    if (text[at] === delimiter) {
      at += 1;
      if (at === text.length || text[at] === "\n" || text[at] === "\r") line.fields.push("");
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at += 1;
    if (text[at] === "\n" || text[at] === "\r") {
      at += 1;
      end();
    }
  }
  end();
  return lines;
}
