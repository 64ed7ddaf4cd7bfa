// A strict reader of TMDL, for what haul writes of it: tabs, object kinds, properties, names in quotes, expressions.
//
// The kinds with their properties and the words of their enumerations are those of the object schema in Microsoft's editor
// extension for TMDL (github.com/microsoft/vscode-tmdl, shared/TmdlSchema.json, MIT, commit ddd9ea2), as far as haul has a
// use for them: what is not listed here is refused though others may write it. The rules of the text are those of
// https://learn.microsoft.com/analysis-services/tmdl/tmdl-overview. Two words are of that page and not of the schema:
// `database`, and `source` for a partition's expression.

const bool = (text) => /^(true|false)$/i.test(text);
const int = (text) => /^-?\d+$/.test(text);
const string = () => true;
const oneOf = (...words) => (text) => words.some((word) => word.toLowerCase() === text.toLowerCase());
const guid = (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
const GRANULARITY = oneOf("Day", "Month", "Quarter", "Year");
const AGGREGATE = oneOf("Default", "None", "Sum", "Min", "Max", "Count", "Average", "DistinctCount");

export const KINDS = {
  database: { name: "optional", properties: { compatibilityLevel: int, compatibilityMode: oneOf("powerBI"), id: string }, children: [] },
  model: {
    name: "required",
    isDescribed: true,
    properties: {
      culture: string,
      collation: string,
      sourceQueryCulture: string,
      defaultMode: oneOf("Import", "DirectQuery", "Default"),
      defaultPowerBIDataSourceVersion: oneOf("PowerBI_V1", "PowerBI_V2", "PowerBI_V3"),
      discourageImplicitMeasures: bool,
      maxParallelismPerRefresh: int,
    },
    children: ["table", "relationship", "expression", "culture", "queryGroup", "annotation", "dataAccessOptions"],
  },
  dataAccessOptions: { name: "none", properties: { fastCombine: bool, legacyRedirects: bool, returnErrorValuesAsNull: bool }, children: [] },
  table: {
    name: "required",
    isDescribed: true,
    properties: { dataCategory: string, isHidden: bool, isPrivate: bool, excludeFromModelRefresh: bool, lineageTag: guid, sourceLineageTag: string },
    children: ["column", "partition", "measure", "annotation", "refreshPolicy", "changedProperty"],
  },
  column: {
    name: "required",
    isDescribed: true,
    properties: {
      sourceColumn: string,
      dataType: oneOf("String", "Int64", "Double", "DateTime", "Decimal", "Boolean", "Binary"),
      dataCategory: string,
      isHidden: bool,
      isUnique: bool,
      isKey: bool,
      isNullable: bool,
      summarizeBy: AGGREGATE,
      formatString: string,
      isAvailableInMdx: bool,
      displayFolder: string,
      sourceProviderType: string,
      lineageTag: guid,
      sourceLineageTag: string,
      sortByColumn: string,
    },
    children: ["annotation", "changedProperty"],
  },
  partition: {
    name: "required",
    isDescribed: true,
    value: oneOf("m"),
    properties: { mode: oneOf("Import", "DirectQuery", "Default"), queryGroup: string },
    expressions: ["source"],
    children: ["annotation"],
  },
  measure: {
    name: "required",
    isDescribed: true,
    isExpression: true,
    properties: { formatString: string, isHidden: bool, displayFolder: string, dataCategory: string, lineageTag: guid },
    children: ["annotation"],
  },
  refreshPolicy: {
    name: "none",
    properties: {
      policyType: oneOf("Basic"),
      mode: oneOf("Import", "Hybrid"),
      rollingWindowGranularity: GRANULARITY,
      rollingWindowPeriods: int,
      incrementalGranularity: GRANULARITY,
      incrementalPeriods: int,
      incrementalPeriodsOffset: int,
    },
    expressions: ["pollingExpression", "sourceExpression"],
    children: ["annotation"],
  },
  relationship: {
    name: "required",
    properties: {
      fromColumn: string,
      toColumn: string,
      fromCardinality: oneOf("None", "One", "Many"),
      toCardinality: oneOf("None", "One", "Many"),
      isActive: bool,
      crossFilteringBehavior: oneOf("OneDirection", "BothDirections", "Automatic"),
      joinOnDateBehavior: oneOf("DateAndTime", "DatePartOnly"),
      relyOnReferentialIntegrity: bool,
      securityFilteringBehavior: oneOf("OneDirection", "BothDirections", "None"),
    },
    children: ["annotation"],
  },
  expression: { name: "required", isDescribed: true, isExpression: true, properties: { lineageTag: guid, queryGroup: string }, children: ["annotation"] },
  queryGroup: { name: "required", isDescribed: true, properties: {}, children: ["annotation"] },
  culture: { name: "required", properties: {}, children: ["annotation"] },
  annotation: { name: "required", value: string, properties: {}, children: [] },
  changedProperty: { name: "none", value: string, properties: {}, children: [] },
};

const ROOTS = ["database", "model", "table", "relationship", "expression", "culture", "queryGroup", "annotation"];

/** A name at the beginning of a text: in quotes where it must be. Gives the name and what follows it. */
export function nameAt(text) {
  const quoted = /^'((?:[^']|'')*)'/.exec(text);
  if (quoted) {
    if (quoted[1] === "") throw new Error("a name is empty");
    return { name: quoted[1].replaceAll("''", "'"), rest: text.slice(quoted[0].length) };
  }
  const plain = /^[^\s.=:']+/.exec(text);
  if (!plain) throw new Error(`no name where one must stand: \`${text}\``);
  if (/[\p{Z}\p{C}]/u.test(plain[0].replace(/\u200d/g, ""))) throw new Error(`the name \`${plain[0]}\` must stand in quotes`);
  return { name: plain[0], rest: text.slice(plain[0].length) };
}

/** `Table.Column`, each in quotes where it must be. */
export function columnNamed(text) {
  const { name: table, rest } = nameAt(text);
  if (!rest.startsWith(".")) throw new Error(`\`${text}\` names no column of a table`);
  const { name: column, rest: end } = nameAt(rest.slice(1));
  if (end !== "") throw new Error(`behind the column stands \`${end}\``);
  return { table, column };
}

/** The value behind `name:`; double quotes around it are no part of it. */
function valueOf(text) {
  if (text.startsWith('"')) {
    if (!/^"(?:[^"]|"")*"$/.test(text)) throw new Error(`the quotes of \`${text}\` do not end where the line does`);
    return text.slice(1, -1).replaceAll('""', '"');
  }
  if (text !== text.trim()) throw new Error(`\`${text}\` has blanks around it that are lost without quotes`);
  return text;
}

class Reader {
  constructor(text) {
    if (text.charCodeAt(0) === 0xfeff) throw new Error("the file begins with a byte order mark");
    if (text.includes("\r")) throw new Error("the file has carriage returns");
    if (!text.endsWith("\n") || text.endsWith("\n\n")) throw new Error("the file does not end with one line break");
    this.lines = text.slice(0, -1).split("\n").map((line, index) => {
      const [indent] = /^\t*/.exec(line);
      return { depth: indent.length, text: line.slice(indent.length), number: index + 1 };
    });
    this.at = 0;
  }

  fail(line, what) {
    throw new Error(`line ${line.number}: ${what}`);
  }

  /** Lines of an expression below a property, each at least as deep; what is deeper than the least is its own. */
  block(line, depth) {
    const found = [];
    while (this.at < this.lines.length) {
      const next = this.lines[this.at];
      if (next.text !== "" && next.depth < depth) break;
      found.push(next.text === "" ? "" : "\t".repeat(next.depth - depth) + next.text);
      this.at += 1;
    }
    while (found.length > 0 && found[found.length - 1].trim() === "") {
      found.pop();
      this.at -= 1;
    }
    if (found.length === 0) this.fail(line, "an expression is missing");
    if (found[0].trim() === "```") {
      // Verbatim until the closing marks.
      const end = found.lastIndexOf("```");
      if (end <= 0) this.fail(line, "the three back-ticks are not closed");
      if (end !== found.length - 1) this.fail(line, "something stands behind the closing back-ticks");
      return found.slice(1, end).join("\n");
    }
    return found.join("\n");
  }

  expression(line, after, depth) {
    if (after.trim() !== "") return after.trim();
    return this.block(line, depth + 2);
  }

  /** Objects at this depth, until a line that is less deep. */
  objects(depth, allowed, into) {
    let description = [];
    while (this.at < this.lines.length) {
      const line = this.lines[this.at];
      if (line.text === "") {
        if (description.length > 0) this.fail(line, "a blank line between a description and its object");
        this.at += 1;
        continue;
      }
      if (line.depth < depth) break;
      if (line.depth > depth) this.fail(line, `${line.depth} tabs where ${depth} were expected`);
      if (line.text !== line.text.trimEnd()) this.fail(line, "blanks at the end");
      if (line.text.startsWith(" ")) this.fail(line, "blanks instead of tabs");
      this.at += 1;
      if (line.text.startsWith("///")) {
        description.push(line.text.slice(3).trim());
        continue;
      }
      try {
        this.item(line, depth, allowed, into, description);
      } catch (error) {
        if (error.message.startsWith("line ")) throw error;
        this.fail(line, error.message);
      }
      description = [];
    }
    if (description.length > 0) throw new Error("a description without an object");
  }

  item(line, depth, allowed, into, description) {
    const [word] = /^\w+/.exec(line.text) ?? this.fail(line, `\`${line.text}\` begins with no word`);
    const rest = line.text.slice(word.length);
    const kind = into && KINDS[into.kind];
    if (word === "ref" && (depth === 0 || into?.kind === "model")) {
      const [, of, named] = /^ (\w+) (.+)$/.exec(rest) ?? this.fail(line, "`ref` names nothing");
      const { name, rest: end } = nameAt(named);
      if (!(of in KINDS) || end !== "") this.fail(line, `\`${line.text}\` names nothing`);
      this.refs.push({ kind: of, name });
      return;
    }
    if (into && rest.startsWith(": ")) {
      const check = kind.properties[word] ?? this.fail(line, `${into.kind} has no property \`${word}\``);
      if (word in into.properties) this.fail(line, `\`${word}\` is there twice`);
      if (into.children.length > 0 && into.kind !== "model") this.fail(line, `\`${word}\` stands behind the objects of ${into.kind}`);
      const value = valueOf(rest.slice(2));
      if (!check(value)) this.fail(line, `\`${value}\` is no value of \`${word}\``);
      if (description.length > 0) this.fail(line, "a property has no description");
      into.properties[word] = value;
      return;
    }
    if (into && rest === "" && kind.properties[word] === bool) {
      into.properties[word] = "true";
      return;
    }
    if (into && kind.expressions?.includes(word) && /^ =( |$)/.test(rest)) {
      if (word in into.properties) this.fail(line, `\`${word}\` is there twice`);
      into.properties[word] = this.expression(line, rest.slice(2), depth);
      return;
    }
    if (!allowed.includes(word)) this.fail(line, `\`${word}\` cannot stand ${into ? `in ${into.kind}` : "here"}`);
    const object = { kind: word, name: undefined, properties: {}, children: [], description: description.join("\n"), line: line.number };
    const own = KINDS[word];
    let after = rest;
    if (own.name !== "none" && after !== "") {
      if (!after.startsWith(" ")) this.fail(line, `\`${word}\` and its name touch`);
      ({ name: object.name, rest: after } = nameAt(after.slice(1)));
    }
    if (own.name === "required" && object.name === undefined) this.fail(line, `${word} has no name`);
    if (description.length > 0 && !own.isDescribed) this.fail(line, `${word} has no description`);
    if (after !== "") {
      if (!/^ =( |$)/.test(after) || !(own.isExpression || own.value)) this.fail(line, `\`${after}\` stands behind the name`);
      object.value = own.isExpression ? this.expression(line, after.slice(2), depth) : after.slice(2).trim();
      if (own.value && !own.value(object.value)) this.fail(line, `\`${object.value}\` is no value of ${word}`);
    } else if (own.isExpression || own.value) {
      this.fail(line, `${word} has no value`);
    }
    (into ? into.children : this.found).push(object);
    this.objects(depth + 1, own.children, object);
  }

  read() {
    this.found = [];
    this.refs = [];
    this.objects(0, ROOTS, undefined);
    return { objects: this.found, refs: this.refs };
  }
}

/** The objects of a file and what it refers to by `ref`. */
export function readTmdl(text) {
  return new Reader(text).read();
}
