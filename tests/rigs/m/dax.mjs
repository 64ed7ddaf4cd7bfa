// Reads measures: tokens, brackets, and whether the tables, columns, measures and functions that they name are there.

const FUNCTIONS = [
  "ABS", "ALLNOBLANKROW", "AND", "AVERAGE", "BLANK", "CALCULATE", "COALESCE", "CONCATENATEX", "COUNTROWS", "DATEDIFF", "DISTINCTCOUNT", "DIVIDE", "FIRSTNONBLANK",
  "FORMAT", "HASONEVALUE", "IF", "INT", "ISBLANK", "MAX", "MAXX", "MIN", "MINX", "NOT", "NOW", "OR", "ROUND", "SELECTEDVALUE", "SUM", "SUMX",
  "SWITCH", "TODAY", "UTCNOW", "VALUES", "UNION", "DISTINCT",
];
const UNITS = ["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];
const WORDS = ["VAR", "RETURN", "TRUE", "FALSE", "IN", ...UNITS];
const TOKENS = [
  ["blank", /^\s+/],
  ["comment", /^(\/\/[^\n]*|--[^\n]*|\/\*[\s\S]*?\*\/)/],
  ["text", /^"(?:[^"]|"")*"/],
  ["table", /^'(?:[^']|'')+'/],
  ["field", /^\[(?:[^\]]|\]\])+\]/],
  ["number", /^\d+(\.\d+)?([eE][+-]?\d+)?/],
  ["word", /^[\p{L}_][\p{L}\p{N}_.]*/u],
  ["operator", /^(<>|<=|>=|==|&&|\|\||[-+*/^&=<>])/],
  ["bracket", /^[(){}]/],
  ["comma", /^,/],
];

export function tokensOf(text) {
  const tokens = [];
  for (let rest = text; rest !== ""; ) {
    const found = TOKENS.map(([kind, expression]) => [kind, expression.exec(rest)?.[0]]).find(([, said]) => said !== undefined);
    if (!found) throw new Error(`no word of DAX: \`${rest.slice(0, 20)}\``);
    const [kind, said] = found;
    if (kind !== "blank" && kind !== "comment") tokens.push({ kind, said });
    rest = rest.slice(said.length);
  }
  return tokens;
}

/** What is wrong with an expression, in a model of `tables` (name to columns and measures). */
export function daxProblems(text, tables) {
  let tokens;
  try {
    tokens = tokensOf(text);
  } catch (error) {
    return [error.message];
  }
  const told = [];
  const open = [];
  const pairs = { ")": "(", "}": "{" };
  const variables = new Set();
  const measures = new Set([...tables.values()].flatMap((table) => [...table.measures]));
  const field = (said) => said.slice(1, -1).replaceAll("]]", "]");
  const check = (table, column) => {
    const known = tables.get(table);
    if (!known) told.push(`there is no table \`${table}\``);
    else if (column !== undefined && !known.columns.has(column) && !known.measures.has(column)) told.push(`\`${table}\` has no column \`${column}\``);
  };
  tokens.forEach(({ kind, said }, at) => {
    const [before, next] = [tokens[at - 1], tokens[at + 1]];
    if (kind === "bracket" && "({".includes(said)) open.push(said);
    if (kind === "bracket" && said in pairs && open.pop() !== pairs[said]) told.push(`\`${said}\` closes nothing`);
    if (kind === "table") check(said.slice(1, -1).replaceAll("''", "'"), next?.kind === "field" ? field(next.said) : undefined);
    if (kind === "field" && before?.kind !== "table" && !(before?.kind === "word" && tables.has(before.said)) && !measures.has(field(said))) {
      told.push(`there is no measure \`${field(said)}\``);
    }
    if (kind === "word" && next?.said === "(") {
      if (!FUNCTIONS.includes(said.toUpperCase()) && said.toUpperCase() !== "TRUE" && said.toUpperCase() !== "FALSE") told.push(`no function \`${said}\``);
    } else if (kind === "word") {
      if (before?.said.toUpperCase() === "VAR") variables.add(said);
      else if (tables.has(said)) check(said, next?.kind === "field" ? field(next.said) : undefined);
      else if (!variables.has(said) && !WORDS.includes(said.toUpperCase())) told.push(`\`${said}\` is no table, no variable and no word`);
    }
    const isValue = (token) => token && (["text", "number"].includes(token.kind) || token.said === ")" || (token.kind === "field"));
    if (isValue(before) && (["text", "number", "table"].includes(kind) || said === "(")) told.push(`\`${said}\` follows a value without an operator`);
    if (kind === "comma" && (!next || next.kind === "comma" || next.said === ")")) told.push("a comma with nothing behind it");
  });
  if (open.length > 0) told.push(`\`${open.pop()}\` is not closed`);
  const last = tokens[tokens.length - 1];
  if (!last || last.kind === "operator" || last.kind === "comma") told.push("the expression has no end");
  return told;
}
