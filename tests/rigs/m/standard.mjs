// The functions of M's standard library that haul's queries call, as Microsoft's reference says. What is asked of a function
// beyond that is an error, never a guess.
import { combined } from "./evaluate.mjs";
import { convert, csvLines, isoMoment, spelledMoment } from "./convert.mjs";
import { outside } from "./outside.mjs";
import { Binary, CredentialError, Func, Later, MError, Moment, Rec, Table, Type, Unknown, WithMeta, expressionError, force, fromJson, isEqual, kindOf, order, plain } from "./values.mjs";

// How .NET escapes a field of a query: everything but these.
const escaped = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
const WEB_OPTIONS = ["RelativePath", "Query", "Headers", "IsRetry", "ManualStatusHandling", "Timeout"];
const text = (value, what) => {
  const seen = plain(value);
  if (typeof seen !== "string") throw expressionError(`${what} is no text but a ${kindOf(seen)}.`);
  return seen;
};
const options = (value, known, what) => {
  const seen = value === undefined ? null : plain(value);
  if (seen === null) return {};
  if (!(seen instanceof Rec)) throw new Unknown(`${what} with options that are no record`);
  for (const name of seen.fields.keys()) if (!known.includes(name)) throw expressionError(`'${name}' isn't a valid option of ${what}.`);
  return Object.fromEntries([...seen.fields.keys()].map((name) => [name, plain(seen.get(name))]));
};
const listed = (value) => {
  const seen = plain(value);
  if (!Array.isArray(seen)) throw expressionError(`We cannot convert a value of type ${kindOf(seen)} to type List.`);
  return seen;
};
const table = (value) => {
  const seen = plain(value);
  if (!(seen instanceof Table)) throw expressionError(`We cannot convert a value of type ${kindOf(seen)} to type Table.`);
  return seen;
};
const record = (value) => {
  const seen = plain(value);
  if (!(seen instanceof Rec)) throw expressionError(`We cannot convert a value of type ${kindOf(seen)} to type Record.`);
  return seen;
};
const texts = (value) => (typeof plain(value) === "string" ? [plain(value)] : listed(value).map((one) => text(one, "a name")));
const call = (fn, ...args) => fn.invoke(args);
const ANY = new Type("any", { isNullable: true });
const USE_NULL = 2;
const [IGNORE, ERROR] = [1, 0];

/** The binary of an answer of the web. It is asked for when somebody looks; reading it again without a buffer asks again. */
function web(world, url, given) {
  const set = options(given, WEB_OPTIONS, "Web.Contents");
  const query = set.Query === undefined ? [] : [...record(set.Query).fields].map(([name, value]) => `${escaped(name)}=${escaped(text(value, `the field ${name} of the query`))}`);
  const path = set.RelativePath ?? "";
  if (/[?#]/.test(path)) throw new Unknown("a RelativePath with a query");
  const address = `${url.replace(/\/+$/, "")}/${encodeURI(path).replace(/%25([0-9A-Fa-f]{2})/g, "%$1").replace(/^\/+/, "")}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  const manual = (set.ManualStatusHandling === undefined ? [] : listed(set.ManualStatusHandling)).map(plain);
  let answer;
  const ask = () => {
    const { status, statusText, bytes } = world.request(address, { isRetry: set.IsRetry === true });
    if (status === 401 || status === 403) throw new CredentialError(`(${status}) ${statusText}: the credentials provided for the web source are invalid`);
    if (status >= 400 && !manual.includes(status)) {
      throw new MError("DataSource.Error", `Web.Contents failed to get contents from '${address.split("?")[0]}' (${status}): ${statusText}`);
    }
    return { status, bytes };
  };
  const first = () => (answer ??= ask());
  let isRead = false;
  const open = () => {
    const { bytes } = isRead ? ask() : first();
    isRead = true;
    return bytes;
  };
  return new WithMeta(new Binary(open), new Rec(new Map([["Response.Status", new Later(() => first().status)]])));
}

function file(world, path) {
  try {
    return world.file(path);
  } catch (error) {
    throw new MError("DataSource.NotFound", `File or Folder: We couldn't find '${path}' (${error.code}).`);
  }
}

function parquet(binary) {
  const { columns, rows } = outside.parquet(plain(binary).open());
  const shaped = columns.map(({ name, physical, converted, logical, scale }) => {
    if (converted === "DATE" || logical === "DATE") return { name, type: new Type("date", { isNullable: true }) };
    if (physical === "INT64" && (logical === "TIMESTAMP" || converted?.startsWith("TIMESTAMP"))) return { name, type: new Type("datetime", { isNullable: true }) };
    if (converted === "DECIMAL" || logical === "DECIMAL") return { name, type: new Type("number", { isNullable: true }), scale };
    if (physical === "INT64" || physical === "INT32") return { name, type: new Type("number", { name: "Int64.Type", isNullable: true }) };
    if (physical === "BOOLEAN") return { name, type: new Type("logical", { isNullable: true }) };
    if (physical === "DOUBLE") return { name, type: new Type("number", { isNullable: true }) };
    if (converted === "UTF8" || logical === "STRING") return { name, type: new Type("text", { isNullable: true }) };
    throw new Unknown(`a column of Parquet: ${physical} ${converted} ${logical}`);
  });
  const cell = (value) => (value?.moment ? new Moment(value.moment, value.micros) : value);
  return new Table(shaped, rows.map((row) => row.map(cell)));
}

function csv(source, given) {
  const set = options(given, ["Delimiter", "Encoding", "QuoteStyle", "Columns"], "Csv.Document");
  if (set.Encoding !== 65001 || set.QuoteStyle !== 1) throw new Unknown("a CSV file that is not of UTF-8 with quotes");
  const lines = csvLines(plain(source), set.Delimiter ?? ",");
  const width = typeof set.Columns === "number" ? set.Columns : Array.isArray(set.Columns) ? set.Columns.length : (lines[0]?.length ?? 0);
  const wrong = lines.find((line) => line.length !== width);
  if (wrong) throw new MError("DataFormat.Error", `A line of the CSV file has ${wrong.length} fields instead of ${width}.`);
  const names = Array.isArray(set.Columns) ? texts(set.Columns) : Array.from({ length: width }, (_, index) => `Column${index + 1}`);
  return new Table(names.map((name) => ({ name, type: new Type("text") })), lines);
}

/** Columns under which rows get these transformations, each with the column's index. */
function transformed(from, list, ifMissing, otherwise = null) {
  const columns = from.columns.map((column) => (otherwise ? { name: column.name, type: ANY } : column));
  const changes = new Map(otherwise ? columns.map((_, at) => [at, otherwise]) : []);
  for (const one of list) {
    const [name, change, type] = listed(one).map(plain);
    if (ifMissing === IGNORE && !columns.some((column) => column.name === name)) continue;
    const at = from.at(name);
    changes.set(at, change);
    columns[at] = { name, type: type ?? ANY };
  }
  const rows = from.rows.map((row) => row.map((cell, at) => (changes.has(at) ? new Later(() => call(changes.get(at), cell)) : cell)));
  return new Table(columns, rows);
}

function made(columns, rows) {
  const kind = plain(columns);
  const shaped = kind instanceof Type ? kind.columns : texts(kind).map((name) => ({ name, type: ANY }));
  if (new Set(shaped.map(({ name }) => name)).size !== shaped.length) throw expressionError("A column's name is there twice.");
  const filled = listed(rows).map((row) => {
    const cells = listed(row);
    if (cells.length !== shaped.length) throw expressionError("The number of fields in a row isn't that of the columns.");
    return cells;
  });
  return new Table(shaped, filled);
}

function momentFrom(value, given, kind) {
  const seen = plain(value);
  if (seen === null) return null;
  const set = given === undefined ? null : plain(given);
  if (set === null || typeof set === "string") return isoMoment(text(seen, "a moment"), kind);
  const { Format: format } = options(set, ["Format", "Culture"], `${kind}.FromText`);
  return format === undefined ? isoMoment(seen, kind) : spelledMoment(seen, format, kind);
}

function selected(from, columns, ifMissing = ERROR) {
  const names = texts(columns);
  const at = names.map((name) => {
    const index = from.columns.findIndex((column) => column.name === name);
    if (index < 0 && ifMissing === ERROR) from.at(name);
    return index;
  });
  const kept = names.map((name, index) => ({ name, at: at[index] })).filter(({ at: index }) => index >= 0 || ifMissing === USE_NULL);
  const shaped = kept.map(({ name, at: index }) => (index < 0 ? { name, type: ANY } : from.columns[index]));
  return new Table(shaped, from.rows.map((row) => kept.map(({ at: index }) => (index < 0 ? null : row[index]))));
}

function renamed(from, pairs) {
  const names = new Map((Array.isArray(plain(listed(pairs)[0])) ? listed(pairs) : listed(pairs).length === 0 ? [] : [pairs]).map((pair) => texts(pair)));
  for (const name of names.keys()) from.at(name);
  return new Table(from.columns.map(({ name, type }) => ({ name: names.get(name) ?? name, type })), from.rows);
}

/** Under M's names: functions of values that may not have been looked at yet, with the least count of arguments. */
function functions(world) {
  return {
    "Web.Contents": [1, (url, given) => web(world, text(url, "the address"), given)],
    "File.Contents": [1, (path) => new Binary(() => file(world, text(path, "the path")))],
    "Binary.Buffer": [1, (binary) => new Binary(plain(binary).open())],
    "Value.Metadata": [1, (value) => (force(value) instanceof WithMeta ? force(value).meta : new Rec())],
    "Error.Record": [1, (reason, message = null, detail = null) => Rec.of({ Reason: reason, Message: message, Detail: detail })],
    "Json.Document": [1, (binary) => fromJson(JSON.parse(new TextDecoder().decode(plain(binary).open())))],
    "Parquet.Document": [1, parquet],
    "Csv.Document": [1, csv],
    "#table": [2, made],
    "#date": [3, (...parts) => Moment.of("date", parts.map(plain))],
    "#datetime": [6, (...parts) => Moment.of("datetime", parts.map(plain))],
    "Text.From": [1, (value) => (plain(value) === null ? null : convert(value, new Type("text")))],
    "Text.Combine": [1, (list, separator = "") => listed(list).map(plain).filter((one) => one !== null).join(plain(separator) ?? "")],
    "Text.Start": [2, (value, count) => (plain(value) === null ? null : text(value, "the text").slice(0, plain(count)))],
    "Text.Replace": [3, (value, old, by) => (plain(value) === null ? null : text(value, "the text").replaceAll(plain(old), () => plain(by)))],
    "Text.TrimEnd": [1, (value, trimmed = " ") => {
      let seen = plain(value);
      const ends = texts(trimmed);
      while (seen !== null && ends.some((one) => one !== "" && seen.endsWith(one))) seen = seen.slice(0, -1);
      return seen;
    }],
    "Text.BeforeDelimiter": [2, (value, delimiter) => (plain(value) === null ? null : text(value, "the text").split(plain(delimiter))[0])],
    "Text.Contains": [2, (value, part) => text(value, "the text").includes(plain(part))],
    "Text.StartsWith": [2, (value, part) => text(value, "the text").startsWith(plain(part))],
    "Text.EndsWith": [2, (value, part) => text(value, "the text").endsWith(plain(part))],
    "Text.Length": [1, (value) => (plain(value) === null ? null : text(value, "the text").length)],
    "DateTime.FromText": [1, (value, given) => momentFrom(value, given, "datetime")],
    "Date.FromText": [1, (value, given) => momentFrom(value, given, "date")],
    "DateTimeZone.FromText": [1, (value, given) => momentFrom(value, given, "datetimezone")],
    "DateTimeZone.RemoveZone": [1, (value) => (plain(value) === null ? null : new Moment("datetime", plain(value).micros))],
    "DateTime.From": [1, (value) => convert(value, new Type("datetime"))],
    "Date.From": [1, (value) => convert(value, new Type("date"))],
    "Number.From": [1, (value) => convert(value, new Type("number"))],
    "Record.Field": [2, (from, name) => record(from).get(text(name, "the field"))],
    "Record.FieldNames": [1, (from) => [...record(from).fields.keys()]],
    "Record.FieldOrDefault": [2, (from, name, otherwise = null) => {
      const seen = plain(from);
      return seen !== null && record(seen).fields.has(text(name, "the field")) ? record(seen).get(plain(name)) : force(otherwise);
    }],
    "Record.HasFields": [2, (from, names) => texts(names).every((name) => record(from).fields.has(name))],
    "List.Transform": [2, (list, change) => listed(list).map((one) => new Later(() => call(plain(change), one)))],
    "List.Select": [2, (list, condition) => listed(list).filter((one) => plain(call(plain(condition), one)) === true)],
    "List.Contains": [2, (list, value) => listed(list).some((one) => isEqual(one, value))],
    "List.IsEmpty": [1, (list) => listed(list).length === 0],
    "List.Count": [1, (list) => listed(list).length],
    "List.First": [1, (list, otherwise = null) => (listed(list).length === 0 ? otherwise : listed(list)[0])],
    "List.Distinct": [1, (list) => listed(list).filter((one, at, all) => all.findIndex((other) => isEqual(other, one)) === at)],
    "List.Zip": [1, (lists) => {
      const all = listed(lists).map(listed);
      return Array.from({ length: Math.max(0, ...all.map((list) => list.length)) }, (_, at) => all.map((list) => (at < list.length ? list[at] : null)));
    }],
    "List.Sum": [1, (list) => {
      const numbers = listed(list).map(plain).filter((one) => one !== null);
      return numbers.length === 0 ? null : numbers.reduce((sum, one) => sum + one);
    }],
    "List.Max": [1, (list, otherwise = null) => {
      const values = listed(list).map(plain).filter((one) => one !== null);
      return values.length === 0 ? otherwise : values.reduce((most, one) => (order(one, most) > 0 ? one : most));
    }],
    "Table.Combine": [1, (tables) => combined(listed(tables).map(table))],
    "Table.FromRecords": [1, (records) => {
      const rows = listed(records).map(record);
      const names = rows.length === 0 ? [] : [...rows[0].fields.keys()];
      const columns = names.map((name) => ({ name, type: ANY }));
      return new Table(columns, rows.map((row) => names.map((name) => new Later(() => row.get(name)))));
    }],
    "Table.ColumnNames": [1, (from) => table(from).columns.map(({ name }) => name)],
    "Table.RowCount": [1, (from) => table(from).rows.length],
    "Table.SelectColumns": [2, (from, columns, ifMissing) => selected(table(from), columns, ifMissing === undefined ? ERROR : plain(ifMissing))],
    "Table.RenameColumns": [2, (from, pairs) => renamed(table(from), pairs)],
    "Table.AddColumn": [3, (from, name, change, type) => {
      const seen = table(from);
      if (seen.columns.some((column) => column.name === plain(name))) throw expressionError(`The field '${plain(name)}' already exists in the record.`);
      const rows = seen.rows.map((row, index) => [...row, new Later(() => call(plain(change), seen.row(index)))]);
      return new Table([...seen.columns, { name: text(name, "the column"), type: type === undefined ? ANY : plain(type) }], rows);
    }],
    "Table.SelectRows": [2, (from, condition) => {
      const seen = table(from);
      return new Table(seen.columns, seen.rows.filter((_, index) => plain(call(plain(condition), seen.row(index))) === true));
    }],
    "Table.TransformColumns": [2, (from, operations, otherwise = null, ifMissing = ERROR) => {
      return transformed(table(from), listed(operations), plain(ifMissing), plain(otherwise));
    }],
    "Table.TransformColumnTypes": [2, (from, pairs, culture = null) => {
      if (plain(culture) !== "en-US") throw new Unknown(`Table.TransformColumnTypes for the culture ${plain(culture)}`);
      const changes = listed(pairs).map((pair) => {
        const [name, type] = listed(pair).map(plain);
        return [name, new Func([{ name: "_" }], ([value]) => convert(value, type)), type];
      });
      return transformed(table(from), changes, ERROR);
    }],
    "Table.ReplaceValue": [5, (from, old, by, replacer, columns) => {
      const seen = table(from);
      const at = texts(columns).map((name) => seen.at(name));
      if (plain(replacer).name !== "Replacer.ReplaceValue") throw new Unknown("a replacer other than Replacer.ReplaceValue");
      return new Table(seen.columns, seen.rows.map((row) => row.map((cell, index) => (at.includes(index) ? new Later(() => call(plain(replacer), cell, old, by)) : cell))));
    }],
    "Table.PromoteHeaders": [1, (from, given) => {
      if (options(given, ["PromoteAllScalars", "Culture"], "Table.PromoteHeaders").PromoteAllScalars !== true) throw new Unknown("Table.PromoteHeaders without PromoteAllScalars");
      const seen = table(from);
      if (seen.rows.length === 0) return seen;
      const names = seen.rows[0].map((cell) => text(cell, "a header"));
      if (new Set(names).size !== names.length || names.includes("")) throw new Unknown("headers that are empty or there twice");
      return new Table(names.map((name) => ({ name, type: new Type("text") })), seen.rows.slice(1));
    }],
    "Replacer.ReplaceValue": [3, (value, old, by) => (isEqual(value, old) ? force(by) : force(value))],
  };
}

const TYPES = { "Int64.Type": "number", "Currency.Type": "number", "Double.Type": "number" };
const CONSTANTS = { "MissingField.Error": ERROR, "MissingField.Ignore": IGNORE, "MissingField.UseNull": USE_NULL, "QuoteStyle.None": 0, "QuoteStyle.Csv": 1 };

/** What every query sees. `world` makes requests and reads files. */
export function standard(world) {
  const names = new Map(Object.entries(CONSTANTS));
  for (const [name, kind] of Object.entries(TYPES)) names.set(name, new Type(kind, { name, isNullable: true }));
  for (const [name, [least, run]] of Object.entries(functions(world))) {
    // A table's columns are any number of lists; nothing of haul's takes more than six arguments.
    const parameters = Array.from({ length: 6 }, (_, index) => ({ name: `${index}`, optional: index >= least }));
    const made = new Func(parameters, (args) => run(...args));
    made.name = name;
    names.set(name, made);
  }
  return names;
}
