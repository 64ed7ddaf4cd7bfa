// The values of M, as far as haul's queries make them.
//
// null, logicals and texts are those of JavaScript; numbers too, with BigInt beyond what a double holds exactly. Lists are
// arrays. Every element, field and cell may be a `Later`: M evaluates when somebody looks.

export class MError extends Error {
  constructor(reason, message, detail = null) {
    super(message);
    this.reason = reason;
    this.detail = detail;
  }
}

/** The engine asks a person for a credential, or a refresh ends: no `try` sees it. */
export class CredentialError extends Error {}

/** The evaluator does not know that: never a result of M. */
export class Unknown extends Error {}

export const expressionError = (message, detail) => new MError("Expression.Error", message, detail);

export class Later {
  constructor(made) {
    this.made = made;
    this.state = "new";
  }

  get() {
    if (this.state === "done") return this.value;
    if (this.state === "failed") throw this.error;
    if (this.state === "busy") throw expressionError("A cyclic reference was encountered during evaluation.");
    this.state = "busy";
    try {
      this.value = force(this.made());
      this.state = "done";
      return this.value;
    } catch (error) {
      this.error = error;
      this.state = "failed";
      throw error;
    } finally {
      this.made = undefined;
    }
  }
}

export function force(value) {
  return value instanceof Later ? value.get() : value;
}

/** A value with what `meta` says of it. */
export class WithMeta {
  constructor(value, meta) {
    this.value = value;
    this.meta = meta;
  }
}

/** The value without what is said of it. */
export function plain(value) {
  const forced = force(value);
  return forced instanceof WithMeta ? plain(forced.value) : forced;
}

/** The bytes may be those of an answer of the web that nobody asked for yet. */
export class Binary {
  constructor(open) {
    this.open = typeof open === "function" ? open : () => open;
  }
}

export class Rec {
  constructor(fields = new Map()) {
    this.fields = fields;
  }

  static of(object) {
    return new Rec(new Map(Object.entries(object)));
  }

  get(name) {
    if (!this.fields.has(name)) throw expressionError(`The field '${name}' of the record wasn't found.`);
    return force(this.fields.get(name));
  }
}

export class Table {
  /** `columns`: name and type; `rows`: arrays of cells in the order of the columns. */
  constructor(columns, rows) {
    this.columns = columns;
    this.rows = rows;
  }

  at(name) {
    const index = this.columns.findIndex((column) => column.name === name);
    if (index < 0) throw expressionError(`The column '${name}' of the table wasn't found.`, name);
    return index;
  }

  row(index) {
    return new Rec(new Map(this.columns.map((column, at) => [column.name, this.rows[index][at]])));
  }

  columnOf(name) {
    const at = this.at(name);
    return this.rows.map((row) => row[at]);
  }
}

export class Func {
  constructor(parameters, call) {
    this.parameters = parameters;
    this.call = call;
  }

  invoke(args) {
    const least = this.parameters.filter((parameter) => !parameter.optional).length;
    if (args.length < least || args.length > this.parameters.length) {
      throw expressionError(`${args.length} arguments were passed to a function which expects between ${least} and ${this.parameters.length}.`);
    }
    return this.call(args);
  }
}

export class Type {
  constructor(kind, { isNullable = false, name, columns, item } = {}) {
    Object.assign(this, { kind, isNullable, name: name ?? kind, columns, item });
  }
}

const MICROS = { day: 86_400_000_000n, hour: 3_600_000_000n, minute: 60_000_000n, second: 1_000_000n };

/** A date, time, datetime or datetimezone: microseconds of the wall clock since 1970, for a time since midnight. */
export class Moment {
  constructor(kind, micros, offset = 0) {
    Object.assign(this, { kind, micros, offset });
  }

  static of(kind, [year, month, day, hour = 0, minute = 0, second = 0], offset = 0) {
    const whole = Math.trunc(Number(second));
    const date = new Date(0);
    date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
    const isDate = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
    if (!isDate || year < 1 || year > 9999 || hour > 24 || minute > 59 || second >= 60) throw expressionError("The value is no moment of the calendar.");
    const micros = BigInt(date.getTime()) * 1000n + BigInt(hour) * MICROS.hour + BigInt(minute) * MICROS.minute;
    return new Moment(kind, micros + BigInt(whole) * MICROS.second + BigInt(Math.round((Number(second) - whole) * 1e6)), offset);
  }

  /** Comparable: of one kind, those with a zone by the moment itself. */
  get key() {
    return this.kind === "datetimezone" ? this.micros - BigInt(this.offset) * MICROS.minute : this.micros;
  }

  get date() {
    return this.micros - (((this.micros % MICROS.day) + MICROS.day) % MICROS.day);
  }

  /** As Python and DuckDB write it. */
  toString() {
    const day = this.kind === "time" ? 0n : this.date;
    const rest = this.micros - day;
    const date = new Date(Number(day / 1000n)).toISOString().slice(0, 10);
    if (this.kind === "date") return date;
    const two = (value) => String(value).padStart(2, "0");
    const clock = [rest / MICROS.hour, (rest % MICROS.hour) / MICROS.minute, (rest % MICROS.minute) / MICROS.second].map(two).join(":");
    const micros = rest % MICROS.second;
    const time = micros === 0n ? clock : `${clock}.${String(micros).padStart(6, "0")}`;
    if (this.kind === "time") return time;
    const zone = `${this.offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(this.offset) / 60))}:${two(Math.abs(this.offset) % 60)}`;
    return this.kind === "datetime" ? `${date} ${time}` : `${date} ${time}${zone}`;
  }
}

export class Duration {
  constructor(micros) {
    this.micros = micros;
  }
}

/** The kind of a value, in M's words. */
export function kindOf(value) {
  if (value === null) return "null";
  if (typeof value === "boolean") return "logical";
  if (typeof value === "number" || typeof value === "bigint") return "number";
  if (typeof value === "string") return "text";
  if (Array.isArray(value)) return "list";
  if (value instanceof Moment) return value.kind;
  const kinds = [[Rec, "record"], [Table, "table"], [Func, "function"], [Type, "type"], [Binary, "binary"], [Duration, "duration"]];
  const found = kinds.find(([made]) => value instanceof made);
  if (!found) throw new Unknown(`no value of M: ${value}`);
  return found[1];
}

export function isOf(value, type) {
  if (type.kind === "any") return true;
  if (value === null) return type.isNullable || type.kind === "null";
  if (type.kind === "anynonnull") return true;
  return kindOf(value) === type.kind;
}

export function isEqual(a, b) {
  const [left, right] = [plain(a), plain(b)];
  if (left === null || right === null) return left === right;
  const kind = kindOf(left);
  if (kind !== kindOf(right)) return false;
  if (kind === "number") return left == right; // eslint-disable-line eqeqeq -- a BigInt and a number
  if (left instanceof Moment) return left.key === right.key;
  if (kind === "list") return left.length === right.length && left.every((one, index) => isEqual(one, right[index]));
  if (kind === "record") {
    return left.fields.size === right.fields.size && [...left.fields].every(([name, one]) => right.fields.has(name) && isEqual(one, right.fields.get(name)));
  }
  if (kind === "duration") return left.micros === right.micros;
  if (kind === "table" || kind === "binary") throw new Unknown(`comparing two of kind ${kind}`);
  return left === right;
}

/** Below zero, zero or above zero. Nulls are for the caller. */
export function order(left, right) {
  const kind = kindOf(left);
  if (kind !== kindOf(right) || ["list", "record", "table", "function", "type"].includes(kind)) {
    throw expressionError(`We cannot apply operator < to types ${kind} and ${kindOf(right)}.`);
  }
  const [a, b] = left instanceof Moment ? [left.key, right.key] : left instanceof Duration ? [left.micros, right.micros] : [left, right];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A value of JSON as M has it. */
export function fromJson(value) {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== "object") return value;
  return new Rec(new Map(Object.entries(value).map(([name, one]) => [name, fromJson(one)])));
}

/** What a report would show, as JSON. */
export function toJson(value) {
  const seen = plain(value);
  const kind = kindOf(seen);
  if (typeof seen === "bigint") return String(seen);
  if (seen instanceof Moment) return String(seen);
  if (kind === "list") return seen.map(toJson);
  if (kind === "record") return Object.fromEntries([...seen.fields].map(([name, one]) => [name, toJson(one)]));
  if (kind === "table") {
    const columns = seen.columns.map(({ name, type }) => ({ name, type: type.name }));
    return { columns, rows: seen.rows.map((row) => row.map(toJson)) };
  }
  if (kind === "binary") return { bytes: seen.open().length };
  if (kind === "duration") return { micros: String(seen.micros) };
  if (kind === "function" || kind === "type") return { [kind]: seen.name ?? "" };
  return seen;
}
