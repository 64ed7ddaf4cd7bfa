// json-server over a file with three sets (2,000, 20,000 and 60,000 rows): pages by `_page` with a Link header, slices by
// `_start`, `X-Total-Count` with both. `/_truth` is computed from that file.
//
//   node jsonserver.mjs [--port N] [--stay]
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import jsonServer from "json-server";

import { listen, options, ready } from "./common.mjs";
import { SETS, factsOf, printsOf, rowsOf } from "./entities.mjs";

const NAMES = { Customers: "customers", Orders: "orders", OrderLines: "order_lines" };
/** Column that is a moment in time, and what is not a number besides. */
const INSTANTS = { orders: ["OrderedAt"] };

const folder = mkdtempSync(join(tmpdir(), "json-server-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "db.json");
writeFileSync(file, JSON.stringify(Object.fromEntries(Object.keys(SETS).map((set) => [NAMES[set], rowsOf(set)]))));

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
          texts: printsOf(rows, "Id", (name, value) => typeof value !== "number" && !isInstant(name), String),
          instants: printsOf(rows, "Id", isInstant, (value) => `${Date.parse(value)}000`),
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
