// json-server over a file with three sets (2,000, 20,000 and 60,000 rows): pages by `_page` with a Link header, slices by
// `_start`, `X-Total-Count` with both. `/_truth` is computed from that file.
//
//   node jsonserver.mjs [--port N] [--stay]
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import jsonServer from "json-server";

import { listen, options, ready } from "./common.mjs";
import { SETS, factsOf, rowsOf } from "./entities.mjs";

const NAMES = { Customers: "customers", Orders: "orders", OrderLines: "order_lines" };
/** Column that is a moment in time, and what is not a number besides. */
const INSTANTS = { orders: ["OrderedAt"] };

const folder = mkdtempSync(join(tmpdir(), "json-server-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "db.json");
writeFileSync(file, JSON.stringify(Object.fromEntries(Object.keys(SETS).map((set) => [NAMES[set], rowsOf(set)]))));

const print = (id, text) => BigInt(`0x${createHash("md5").update(`${id}:${text}`).digest("hex").slice(0, 8)}`);

/** Per column that is no number, the sum of its values' prints. */
function printsOf(rows, isAsked, textOf) {
  const sums = {};
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      if (value !== null && isAsked(name, value)) sums[name] = (sums[name] ?? 0n) + print(row.Id, textOf(value));
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, `${sum}`]));
}

function truth() {
  const sets = Object.entries(JSON.parse(readFileSync(file, "utf8")));
  return Object.fromEntries(
    sets.map(([set, rows]) => {
      const isInstant = (name) => INSTANTS[set]?.includes(name) ?? false;
      return [
        set,
        {
          ...factsOf(rows),
          distinct_ids: new Set(rows.map(({ Id }) => Id)).size,
          texts: printsOf(rows, (name, value) => typeof value !== "number" && !isInstant(name), String),
          instants: printsOf(rows, isInstant, (value) => `${Date.parse(value)}000`),
        },
      ];
    }),
  );
}

const option = options();
const app = jsonServer.create();
app.get("/_truth", (_, response) => response.json(truth()));
app.use(jsonServer.defaults({ logger: false, readOnly: true }));
app.use(jsonServer.router(file, { id: "Id" }));
ready({ url: await listen(createServer(app), option.port) }, option);
