// Checks queries of M: parsed by Microsoft's parser, unchanged by its formatter, every name known to the language services
// with the list of the standard library, and the rules of the house for what Power BI's Service and its readers want.
//
//     check.mjs < {"NAME": {"queries": {"QUERY": "text", …}, "base": "optional address"}, …}
//
// prints {"NAME": ["what is wrong", …], …}. Instead of queries there may be a whole section: "document": "text".
// With "excel": true no name may be used that Excel does not have.
import { readFileSync } from "node:fs";
import PQP from "@microsoft/powerquery-parser";
import PQLS from "@microsoft/powerquery-language-services";
import { calls, lostByFormatting, nameOf, nodes, parse, queriesOf, section, textOf } from "./language.mjs";

// The options as Microsoft publishes them (github.com/microsoft/vscode-powerquery, standard-enUs.json, and the reference of
// M); the language services do not look into records.
const OPTIONS = {
  "Web.Contents": {
    at: 1,
    names: ["ApiKeyName", "Content", "ExcludedFromCacheKey", "Headers", "IsRetry", "ManualCredentials", "ManualStatusHandling", "Query", "RelativePath", "Timeout"],
  },
  "Csv.Document": { at: 1, names: ["Columns", "Delimiter", "Encoding", "CsvStyle", "QuoteStyle", "IncludeByteOrderMark", "ExtraValues"] },
  "Table.PromoteHeaders": { at: 1, names: ["PromoteAllScalars", "Culture"] },
  "Parquet.Document": { at: 1, names: ["MaxDepth", "Compression", "PreserveOrder", "LegacyColumnNameEncoding", "TypeMapping"] },
};
// Types of arguments are left to the evaluator: the language services take a null for no value of `any`, `each …` for no
// function, and do not work out what a function of ours returns where one branch raises an error. Names and counts they know.
const FALSE_ALARMS = /expected the argument for '\w+' to be/;
const KINDS = { function: 3, constant: 20, type: 25 };

function symbol(name, said) {
  const base = { name, documentation: { description: "", longDescription: null }, isDataSource: false };
  if (said in KINDS) return { ...base, functionParameters: null, completionItemKind: KINDS[said], type: said === "type" ? "type" : "any" };
  const [, list, result] = /^\((.*)\) as (.*)$/.exec(said);
  const parameters = (list === "" ? [] : list.split(", ")).map((one) => {
    const [, optional, label, nullable, type] = /^(optional )?(\S+) as (nullable )?(\w+)$/.exec(one);
    const isNullable = Boolean(nullable) || type === "any";
    const empty = { caption: null, description: null, sampleValues: null, allowedValues: null, defaultValue: null, fields: null, enumNames: null, enumCaptions: null };
    return { name: label, type: `${nullable ?? ""}${type}`, isRequired: !optional, isNullable, ...empty };
  });
  return { ...base, functionParameters: parameters, completionItemKind: KINDS.function, type: result };
}

function library(isExcel) {
  const { names, added } = JSON.parse(readFileSync(new URL("library.json", import.meta.url), "utf8"));
  const known = { ...names, ...added };
  if (isExcel) delete known["Parquet.Document"];
  const symbols = Object.entries(known).map(([name, said]) => symbol(name, said));
  const made = PQLS.LibrarySymbolUtils.createLibrary(symbols, () => new Map(), undefined);
  if (PQP.ResultUtils.isError(made)) {
    const failed = made.error.failedLibrarySymbolConversions.map((one) => one.librarySymbol.name);
    throw new Error(`symbols that the language services do not take: ${failed.join(", ")}`);
  }
  return made.value;
}

const settingsOf = (isExcel) => ({
  ...PQP.DefaultSettings,
  isWorkspaceCacheAllowed: false,
  library: library(isExcel),
  eachScopeById: undefined,
  typeStrategy: PQLS.TypeStrategy.Primitive,
});
const [POWER_BI, EXCEL] = [settingsOf(false), settingsOf(true)];

/** What the language services say of names and calls. */
async function diagnostics(text, inspectionSettings) {
  const document = PQLS.textDocument(`file:///${Math.random()}.pq`, 1, text);
  const analysis = { inspectionSettings, isWorkspaceCacheAllowed: false, initialCorrelationId: undefined, traceManager: PQP.Trace.NoOpTraceManagerInstance };
  const settings = PQLS.ValidationSettingsUtils.createValidationSettings(inspectionSettings, {
    checkDiagnosticsOnParseError: true,
    checkForDuplicateIdentifiers: true,
    checkInvokeExpressions: true,
    checkUnknownIdentifiers: true,
    source: "haul",
  });
  const said = await PQLS.validate(document, analysis, settings);
  if (PQP.ResultUtils.isError(said)) return [`the language services fail: ${said.error.message}`];
  return said.value.diagnostics.filter((one) => !FALSE_ALARMS.test(one.message)).map((one) => `line ${one.range.start.line + 1}: ${one.message}`);
}

/** Names of the fields of a record that is written out. `undefined` = it is not. */
function fields(node) {
  if (node?.kind !== "RecordExpression") return undefined;
  return Object.fromEntries(node.content.elements.map((element) => [nameOf(element.node.key.literal), element.node.value]));
}

function options(tree) {
  const told = [];
  for (const [called, { at, names }] of Object.entries(OPTIONS)) {
    for (const args of calls(tree, called)) {
      if (args[at] === undefined) continue;
      const given = fields(args[at]);
      if (given === undefined && called === "Web.Contents") told.push("the options of Web.Contents are not written out where it is called");
      for (const name of Object.keys(given ?? {})) if (!names.includes(name)) told.push(`${called} has no option ${name}`);
    }
  }
  return told;
}

/** Whether the bytes are held in memory: followed through lets and functions, by name. */
function isBuffered(node, tree, values, seen = new Set()) {
  if (node.kind === "ParenthesizedExpression") return isBuffered(node.content, tree, values, seen);
  if (node.kind === "IdentifierExpression") {
    const name = nameOf(node.identifier.literal);
    const others = new Map([...values].filter(([key]) => key !== name));
    return values.has(name) ? isBuffered(values.get(name), tree, others, seen) : isGivenBuffered(name, tree, values, seen);
  }
  if (node.kind === "IfExpression") return isBuffered(node.trueExpression, tree, values, seen) && isBuffered(node.falseExpression, tree, values, seen);
  if (node.kind === "ErrorRaisingExpression") return true;
  if (node.kind === "LetExpression") return isBuffered(node.expression, tree, new Map([...values, ...bound(node)]), seen);
  if (node.kind === "FunctionExpression") return isBuffered(node.expression, tree, values, seen);
  if (node.kind !== "RecursivePrimaryExpression" || node.head.kind !== "IdentifierExpression") return false;
  return nameOf(node.head.identifier.literal) === "Binary.Buffer" || isBuffered(node.head, tree, values, seen);
}

/** The same of a parameter: whoever calls its function hands over bytes that are held. */
function isGivenBuffered(name, tree, values, seen) {
  // Handed on by a function whose own callers are looked at already.
  if (seen.has(name)) return true;
  seen.add(name);
  const given = [...values].flatMap(([called, value]) => {
    if (value.kind !== "FunctionExpression") return [];
    const at = value.parameters.content.elements.findIndex((element) => nameOf(element.node.name.literal) === name);
    return at < 0 ? [] : [...calls(tree, called)].map((args) => args[at]);
  });
  return given.length > 0 && given.every((argument) => argument !== undefined && isBuffered(argument, tree, values, seen));
}

/** Calls of functions of ours with too few or too many arguments: the language services count those of the library. */
function counts(tree, values) {
  const told = [];
  for (const [name, value] of values) {
    if (value.kind !== "FunctionExpression") continue;
    const parameters = value.parameters.content.elements.map((element) => element.node);
    const least = parameters.filter((parameter) => parameter.optionalConstant === undefined).length;
    for (const { length } of calls(tree, name)) {
      if (length < least || length > parameters.length) told.push(`${name} takes ${least} to ${parameters.length} arguments, not ${length}`);
    }
  }
  return told;
}

const bound = (node) => node.variableList.elements.map(({ node: pair }) => [nameOf(pair.key.literal), pair.value]);

/** What the Service and the readers want of every query. */
function house(tree, queries, base) {
  const told = [];
  const bases = new Set();
  let places = 0;
  for (const args of calls(tree, "Web.Contents")) {
    places += 1;
    const isText = args[0]?.kind === "LiteralExpression" && args[0].literalKind === "Text";
    if (!isText) {
      told.push("the first argument of Web.Contents is no text literal");
      continue;
    }
    const address = textOf(args[0].literal);
    bases.add(address);
    if (/[?#]/.test(address)) told.push("the address of Web.Contents has a query");
    const given = fields(args[1]) ?? {};
    if (!("RelativePath" in given)) told.push("Web.Contents has no RelativePath");
    const handled = given.ManualStatusHandling;
    const codes = handled === undefined ? [] : [...nodes(handled)].filter((node) => node.literalKind === "Numeric").map((node) => Number(node.literal));
    for (const code of codes) if (code === 401 || code === 403) told.push(`${code} cannot be handled outside a custom connector`);
  }
  const all = [...nodes(tree)].filter((node) => node.kind === "IdentifierExpression" && nameOf(node.identifier.literal) === "Web.Contents");
  if (all.length !== places) told.push("Web.Contents is named without being called there: its address cannot be seen");
  if (bases.size > 1) told.push(`Web.Contents goes to ${bases.size} addresses: each asks for a credential of its own`);
  if (base !== undefined && bases.size > 0 && !bases.has(base)) told.push(`Web.Contents does not go to ${base}`);
  const values = new Map([...nodes(tree)].filter((node) => node.kind === "LetExpression").flatMap(bound));
  for (const member of tree.sectionMembers.elements) values.set(nameOf(member.namePairedExpression.key.literal), member.namePairedExpression.value);
  told.push(...counts(tree, values));
  for (const args of calls(tree, "Parquet.Document")) if (!isBuffered(args[0], tree, values)) told.push("Parquet.Document reads what Binary.Buffer does not hold");
  for (const [name, text] of Object.entries(queries)) {
    if (/sig(nature)?"?\s*=\s*"[A-Za-z0-9+/%]{20,}/i.test(text) || /[?&]sig=/.test(text)) told.push(`${name} holds a signature`);
    if (/^\s*"[A-Za-z0-9+/]{43}="/.test(text)) told.push(`${name} holds a signature`);
  }
  return told;
}

export async function problems({ queries: given, document, base, excel }) {
  const told = [];
  let queries = given;
  if (document !== undefined) {
    try {
      const lost = await lostByFormatting(document);
      if (lost) told.push(lost);
      queries = await queriesOf(document);
    } catch (error) {
      return [error.message];
    }
  }
  for (const [name, text] of Object.entries(queries)) {
    if (text.charCodeAt(0) === 0xfeff) told.push(`${name}: begins with a byte order mark`);
    try {
      await parse(text);
      const lost = await lostByFormatting(text);
      if (lost) told.push(`${name}: ${lost}`);
    } catch (error) {
      told.push(`${name}: ${error.message}`);
    }
  }
  if (told.length > 0) return told;
  const text = section(queries);
  const { tree } = await parse(text);
  return [...(await diagnostics(text, excel ? EXCEL : POWER_BI)), ...options(tree), ...house(tree, queries, base)];
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const asked = JSON.parse(readFileSync(0, "utf8"));
  const said = {};
  for (const [name, one] of Object.entries(asked)) said[name] = await problems(one);
  console.log(JSON.stringify(said));
}
