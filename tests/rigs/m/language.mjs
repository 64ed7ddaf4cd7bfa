// M as text: Microsoft's parser and formatter, the escapes of texts and names, and a section made of queries.
import PQF from "@microsoft/powerquery-formatter";
import PQP from "@microsoft/powerquery-parser";

const ESCAPES = { lf: "\n", cr: "\r", tab: "\t", "#": "#" };

/** What a text literal or a quoted name says between its quotes. */
export function unescaped(inside) {
  const text = inside.replaceAll('""', '"');
  return text.replace(/#\(([^)]*)\)/g, (_, names) =>
    names
      .split(",")
      .map((name) => {
        const trimmed = name.trim();
        if (trimmed in ESCAPES) return ESCAPES[trimmed];
        if (/^([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8})$/.test(trimmed)) return String.fromCodePoint(Number.parseInt(trimmed, 16));
        throw new Error(`no escape of M: #(${names})`);
      })
      .join(""),
  );
}

/** The name that an identifier spells: `#"a b"` is `a b`. */
export function nameOf(literal) {
  return literal.startsWith('#"') ? unescaped(literal.slice(2, -1)) : literal;
}

export function textOf(literal) {
  return unescaped(literal.slice(1, -1));
}

/** A name as an identifier of M. */
export function identifier(name) {
  if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) && !PQP.Language.KeywordUtils.isKeyword(name)) return name;
  return `#"${name.replaceAll("#(", "#(#)(").replaceAll('"', '""').replaceAll("\r", "#(cr)").replaceAll("\n", "#(lf)")}"`;
}

/** The queries of one file of a report, in the form in which the engine gets them. */
export function section(queries) {
  const members = Object.entries(queries).map(([name, text]) => `shared ${identifier(name)} = ${text}\n;\n`);
  return `section Section1;\n\n${members.join("\n")}`;
}

/** The queries of a section document. */
export async function queriesOf(document) {
  const { tree } = await parse(document);
  const pairs = tree.sectionMembers.elements.map(({ namePairedExpression: { key, value } }) => {
    const { positionStart, positionEnd } = value.tokenRange;
    return [nameOf(key.literal), document.slice(positionStart.codeUnit, positionEnd.codeUnit)];
  });
  return Object.fromEntries(pairs);
}

export async function parse(text) {
  const task = await PQP.TaskUtils.tryLexParse(PQP.DefaultSettings, text);
  if (!PQP.TaskUtils.isOk(task)) throw new Error(`it does not parse: ${task.error.message}`);
  return { tree: task.ast, snapshot: task.lexerSnapshot };
}

/** Kind and text of every token and of every comment. */
function spelled({ snapshot }) {
  return {
    tokens: snapshot.tokens.map((token) => `${token.kind} ${token.data}`),
    comments: snapshot.comments.map((comment) => comment.data.trim()),
  };
}

/** The tree without places and ids. */
function shape(node) {
  if (Array.isArray(node)) return node.map(shape);
  if (node === null || typeof node !== "object") return node;
  const kept = Object.entries(node).filter(([key, value]) => !["id", "tokenRange", "attributeIndex"].includes(key) && value !== undefined);
  return Object.fromEntries(kept.map(([key, value]) => [key, shape(value)]));
}

async function formatted(text) {
  const tried = await PQF.tryFormat(PQF.DefaultSettings, text);
  if (PQP.ResultUtils.isError(tried)) throw new Error(`the formatter refuses it: ${tried.error.message}`);
  return tried.value;
}

/** What the formatter changes beside blanks and line breaks. */
export async function lostByFormatting(text) {
  const once = await formatted(text);
  const [before, after] = [await parse(text), await parse(once)];
  const [was, is] = [spelled(before), spelled(after)];
  if (JSON.stringify(was) !== JSON.stringify(is)) return "the formatter changes tokens or comments";
  if (JSON.stringify(shape(before.tree)) !== JSON.stringify(shape(after.tree))) return "the formatter changes the tree";
  if ((await formatted(once)) !== once) return "the formatter is not stable";
  return undefined;
}

/** Every node of a tree, parents first. */
export function* nodes(node) {
  if (node === null || typeof node !== "object") return;
  if (Array.isArray(node)) {
    for (const one of node) yield* nodes(one);
    return;
  }
  if (typeof node.kind === "string" && node.tokenRange) yield node;
  for (const [key, value] of Object.entries(node)) if (key !== "tokenRange") yield* nodes(value);
}

/** Calls of a name: `Web.Contents(…)` gives its arguments. */
export function* calls(tree, name) {
  for (const node of nodes(tree)) {
    if (node.kind !== "RecursivePrimaryExpression" || node.head.kind !== "IdentifierExpression") continue;
    if (nameOf(node.head.identifier.literal) !== name) continue;
    const first = node.recursiveExpressions.elements[0];
    if (first?.kind === "InvokeExpression") yield first.content.elements.map((element) => element.node);
  }
}
