// An OData v4 service on `odata-v4-server`, with three related entity sets. That library does no paging of its own, so
// a thin layer of ours asks it for one page at a time and adds `@odata.nextLink`; and it describes no referential
// constraints, so the layer adds those of the relations to `$metadata`. `/_truth` tells counts and sums.
//
//   node odata4.mjs [--port N] [--page-size N] [--stay]
import { createServer } from "node:http";

import { listen, options, ready, sendJson } from "./common.mjs";
import { SETS, rowOf, truth } from "./entities.mjs";

console.info = console.warn = console.log = console.error;
const { default: library } = await import("odata-v4-server");
const { Edm, ODataController, ODataServer, odata } = library;

const option = options();
const pageSize = Number(option["page-size"] ?? 1_000);

const types = {
  Customers: { Id: Edm.Int64, Guid: Edm.Guid, Name: Edm.String, Remark: Edm.String, CreditLimit: Edm.Decimal, Rating: Edm.Double, IsActive: Edm.Boolean, CreatedOn: Edm.Date },
  Orders: { Id: Edm.Int64, CustomerId: Edm.Int64, Number: Edm.String, Total: Edm.Decimal, OrderedAt: Edm.DateTimeOffset, DueOn: Edm.Date, IsPaid: Edm.Boolean },
  OrderLines: { Id: Edm.Int64, OrderId: Edm.Int64, Product: Edm.String, Quantity: Edm.Int32, Amount: Edm.Decimal },
};

/** Whose property holds the `Id` of which other entity. */
const relations = { Order: ["Customer", "CustomerId"], OrderLine: ["Order", "OrderId"] };

function withRelations(metadata) {
  return metadata.replaceAll(/<EntityType Name="(\w+)">.*?(?=<\/EntityType>)/gs, (type, name) => {
    if (!(name in relations)) return type;
    const [target, property] = relations[name];
    const constraint = `<ReferentialConstraint Property="${property}" ReferencedProperty="Id"/>`;
    return `${type}<NavigationProperty Name="${target}" Type="Default.${target}">${constraint}</NavigationProperty>`;
  });
}

/** A class with the library's decorators applied by hand: this is plain JavaScript. */
function controllerOf(set) {
  const Entity = { [set.slice(0, -1)]: class {} }[set.slice(0, -1)];
  for (const [name, type] of Object.entries(types[set])) {
    type(Entity.prototype, name);
    if (name === "Id") Edm.Key(Entity.prototype, name);
    if (type === Edm.Decimal) {
      Edm.Precision(18)(Entity.prototype, name);
      Edm.Scale(4)(Entity.prototype, name);
    }
  }
  // The library tells controllers apart by their class names.
  const { Controller } = {
    Controller: class extends ODataController {
      static get name() {
        return `${set}Controller`;
      }

      find(context) {
        const query = new URL(context.request.url, "http://x").searchParams;
        const from = Number(query.get("$skip") ?? 0);
        const until = Math.min(from + Number(query.get("$top") ?? pageSize), SETS[set].count);
        return Array.from({ length: Math.max(until - from, 0) }, (_, at) => rowOf(set, from + at + 1));
      }
    },
  };
  odata.GET(Controller.prototype, "find", Object.getOwnPropertyDescriptor(Controller.prototype, "find"));
  odata.context(Controller.prototype, "find", 0);
  odata.type(Entity)(Controller);
  return Controller;
}

class Service extends ODataServer {}
for (const set of Object.keys(SETS)) odata.controller(controllerOf(set), set)(Service);

const inner = Service.create(0, "127.0.0.1");
await new Promise((done) => (inner.listening ? done() : inner.once("listening", done)));
const innerUrl = `http://127.0.0.1:${inner.address().port}`;

const server = createServer(async (request, response) => {
  if (request.url === "/_truth") return sendJson(response, truth());
  const url = new URL(request.url, `http://${request.headers.host}`);
  const set = url.pathname.slice(1);
  const isSet = set in SETS;
  const from = Number(url.searchParams.get("$skiptoken") ?? 0);
  if (isSet) {
    url.searchParams.delete("$skiptoken");
    url.searchParams.set("$skip", from);
    url.searchParams.set("$top", pageSize);
  }
  const headers = { accept: request.headers.accept ?? "application/json" };
  const answer = await fetch(`${innerUrl}${url.pathname}${url.search}`, { headers });
  let body = await answer.text();
  if (url.pathname === "/$metadata") body = withRelations(body);
  if (isSet && answer.ok) {
    const page = JSON.parse(body.replaceAll(innerUrl, url.origin));
    if (from + pageSize < SETS[set].count) page["@odata.nextLink"] = `${url.origin}/${set}?$skiptoken=${from + pageSize}`;
    body = JSON.stringify(page);
  }
  response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain", "odata-version": "4.0" });
  response.end(body);
});
ready({ url: await listen(server, option.port), page_size: pageSize }, option);
