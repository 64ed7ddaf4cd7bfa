// Evaluates queries of M and prints what a report would get.
//
//     run.mjs < {"queries": {"QUERY": "text", …}, "values": {"PARAMETER": "text", …}, "evaluate": ["QUERY", …],
//                "after": [{"request": N, "command": ["PROGRAM", …], "env": {…}}]}
//
// `values` stand for what a person typed into parameters; a command runs once, after the N-th request was answered. Prints
// {"results": {"QUERY": {"columns", "rows"} or a value, or {"error": {"reason", "message", "detail"}}},
//  "requests": [{"path", "query": [names], "status", "fresh"}], "files": [paths]}. A refused credential is the reason
// "credentials". Instead of queries there may be a whole section: "document": "text".
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { sectionOf } from "./evaluate.mjs";
import { parse, queriesOf, section } from "./language.mjs";
import { outside } from "./outside.mjs";
import { standard } from "./standard.mjs";
import { CredentialError, MError, Table, WithMeta, force, plain, toJson } from "./values.mjs";

const asked = JSON.parse(readFileSync(0, "utf8"));
const requests = [];
const files = [];
const world = {
  file(path) {
    files.push(path);
    return outside.file(path);
  },
  request(address, { isRetry }) {
    const url = new URL(address);
    const answer = outside.request(address);
    requests.push({ path: url.pathname, query: [...url.searchParams.keys()], status: answer.status, fresh: isRetry });
    for (const { request, command, env } of asked.after ?? []) {
      if (request === requests.length) execFileSync(command[0], command.slice(1), { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
    }
    return answer;
  },
};

const queries = asked.document === undefined ? asked.queries : await queriesOf(asked.document);
const { tree } = await parse(section(queries));
const names = sectionOf(tree, standard(world));
for (const [name, value] of Object.entries(asked.values ?? {})) {
  if (!(force(names.get(name)) instanceof WithMeta)) throw new Error(`${name} is no parameter`);
  names.set(name, value);
}

function result(name) {
  try {
    const value = plain(names.get(name));
    return value instanceof Table ? toJson(value) : { value: toJson(value) };
  } catch (error) {
    if (error instanceof CredentialError) return { error: { reason: "credentials", message: error.message, detail: null } };
    if (error instanceof MError) return { error: { reason: error.reason, message: error.message, detail: error.detail === null ? null : toJson(error.detail) } };
    throw error;
  }
}

const results = Object.fromEntries((asked.evaluate ?? Object.keys(queries)).map((name) => [name, result(name)]));
console.log(JSON.stringify({ results, requests, files }));
