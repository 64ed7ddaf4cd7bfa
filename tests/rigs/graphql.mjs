// PostGraphile on a PostgreSQL of its own: Relay connections over three related tables (2,000, 20,000 and 60,000 rows) that
// SQL made. `/_truth` is told by the database. Two fields of an order fail at order 15,000, which is told with status 200:
// `share` takes the whole page with it, `grade` is null in its row.
//
//   node graphql.mjs [--port N] [--stay]
import { createServer } from "node:http";

import { gql, makeExtendSchemaPlugin } from "graphile-utils";
import pg from "pg";
import { postgraphile } from "postgraphile";

import { listen, options, ready, sendJson } from "./common.mjs";
import { startPostgres } from "./database.mjs";

const SCHEMA = `
  create schema shop;
  create function public.noise(n bigint) returns bigint language sql immutable as $$ select (n * 2654435761) % 4294967296 $$;
  create function public.word(n bigint) returns text language sql immutable as $$
    select (array['Müller', 'O''Brien', '"quoted"', 'a, b', E'line\\nbreak', 'emoji 🚢', '', 'Łódź', 'semi;colon', E'tab\\tbed'])[1 + n % 10]
  $$;
  create table shop.customers (
    id int primary key, code uuid not null, name text not null, remark text, credit_limit numeric(18, 4),
    rating double precision not null, is_active boolean not null, created_on date not null
  );
  create table shop.orders (
    id bigint primary key, customer_id int not null references shop.customers, number text not null, total numeric(18, 4) not null,
    ordered_at timestamptz not null, due_on date, is_paid boolean
  );
  create table shop.lines (
    id int primary key, order_id bigint not null references shop.orders, product text not null, quantity int, amount numeric(18, 4) not null
  );
  insert into shop.customers
    select n, (lpad(to_hex(h), 8, '0') || '-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, word(h) || ' ' || n,
      case when h % 3 > 0 then word(h / 16) end, case when h % 7 > 0 then (h % 10000000)::numeric / 10000 end,
      (h % 1000)::double precision / 8, h % 2 = 0, date '2015-01-01' + (h % 4000)::int
    from (select n, noise(n) as h from generate_series(1, 2000) as n) as made;
  insert into shop.orders
    select n, 1 + h % 2000, 'SO-' || lpad(n::text, 7, '0'), (h % 20000000 - 5000000)::numeric / 10000,
      timestamptz '2015-01-01 00:00:00+02' + h * interval '71 milliseconds' + n * interval '1 microsecond',
      case when h % 5 > 0 then date '2015-02-01' + (h % 4000)::int end, case when h % 11 > 0 then h % 3 = 0 end
    from (select n, noise(n) as h from generate_series(1, 20000) as n) as made;
  insert into shop.lines
    select n, 1 + n % 20000, word(h), case when h % 13 > 0 then h % 100 end, (h % 10000000)::numeric / 10000
    from (select n, noise(n) as h from generate_series(1, 60000) as n) as made;
  create function shop.orders_share(row_of shop.orders) returns numeric language sql stable as $$ select row_of.total / (row_of.id - 15000) $$;
  analyze;
`;

/** Columns as the API names them, by what is told of them, and the SQL of each. */
const TABLES = {
  customers: {
    from: "shop.customers",
    numbers: { id: "id", creditLimit: "credit_limit", rating: "rating" },
    texts: { code: "code", name: "name", remark: "remark", isActive: "is_active", createdOn: "created_on" },
    instants: {},
  },
  orders: {
    from: "(select o.*, c.name as customer_name from shop.orders o join shop.customers c on c.id = o.customer_id) as joined",
    numbers: { id: "id", customerId: "customer_id", total: "total" },
    texts: { number: "number", dueOn: "due_on", isPaid: "is_paid", customerByCustomerId_name: "customer_name" },
    instants: { orderedAt: "ordered_at" },
  },
  lines: {
    from: "shop.lines",
    numbers: { id: "id", orderId: "order_id", quantity: "quantity", amount: "amount" },
    texts: { product: "product" },
    instants: {},
  },
};

async function truth(pool) {
  const facts = {};
  for (const [table, { from, numbers, texts, instants }] of Object.entries(TABLES)) {
    const ask = async (columns, sql) => {
      const asked = Object.entries(columns).map(([name, column]) => `(${sql(column)})::text as "${name}"`);
      return asked.length === 0 ? {} : (await pool.query(`select ${asked.join(", ")} from ${from}`)).rows[0];
    };
    const print = (text) => `sum(('x' || substr(md5(id || ':' || ${text}), 1, 8))::bit(32)::bigint)`;
    const counts = await ask({ ...numbers, ...texts, ...instants }, (column) => `count(${column})`);
    facts[table] = {
      ...(await pool.query(`select count(*)::int as count, count(distinct id)::int as distinct_ids from ${from}`)).rows[0],
      sums: await ask(numbers, (column) => `sum(${column})::numeric(38, 4)`),
      non_null: Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)])),
      texts: await ask(texts, (column) => print(`${column}::text`)),
      instants: await ask(instants, (column) => print(`(extract(epoch from ${column}) * 1000000)::bigint`)),
    };
  }
  return facts;
}

const option = options();
const { url: database } = await startPostgres(option);
const pool = new pg.Pool({ connectionString: database });
// The database ends before the pool does.
pool.on("error", () => {});
await pool.query(SCHEMA);

const grade = makeExtendSchemaPlugin({
  typeDefs: gql`
    extend type Order {
      grade: String @requires(columns: ["id"])
    }
  `,
  resolvers: {
    Order: {
      grade: ({ id }) => {
        if (id === "15000") throw new Error("this order has no grade");
        return `grade ${id % 7}`;
      },
    },
  },
});
const graphql = postgraphile(pool, "shop", { graphiql: false, disableQueryLog: true, disableDefaultMutations: true, appendPlugins: [grade] });
const server = createServer(async (request, response) => {
  if (request.url === "/_truth") return sendJson(response, await truth(pool));
  graphql(request, response);
});
ready({ url: await listen(server, option.port) }, option);
