#!/usr/bin/env node
// OData v4: odata-v4-server over the shop, and a thin layer of ours for the two things it lacks:
// paging by the server, and numbers that JavaScript cannot hold (Edm.Decimal, Edm.Int64).
import { createRequire } from 'node:module';
import { listen, options, ready } from './rig.mjs';
import { rows, shop, spell, truth } from './shop.mjs';

// The filter library prints a line per row and literal; the server sends its stack to the client.
console.log = () => {};
process.env.ODATA_V4_DISABLE_STACKTRACE = '1';

const require = createRequire(import.meta.url);
const { Edm, ODataController, ODataServer, odata } = require('odata-v4-server');
const { createFilter } = require('odata-v4-inmemory');
const express = require('express');

const args = options({ 'page-size': { type: 'string', default: '1000' } });
const pageSize = Number(args['page-size']);
const { server, url } = await listen(args);

// Marks a text that is to leave as a bare JSON number; see `bareNumbers`.
const BARE = '\u0001';
const isBare = (type) => type === 'Decimal' || type === 'Int64';

function tableOf(name) {
  const { columns } = shop.sets[name];
  return rows(name, 'v4').map((row, n) => {
    const wire = {};
    const sortable = {};
    for (const { name: column, type } of columns) {
      const spelled = spell(type, row[column], n);
      wire[column] = isBare(type) && spelled !== null ? BARE + spelled : spelled;
      sortable[column] = isBare(type) && spelled !== null ? Number(spelled) : spelled;
    }
    return { wire, sortable };
  });
}

function comparison(orderby) {
  const terms = orderby.split(',').map((term) => term.trim().split(/\s+/));
  return (a, b) => {
    for (const [column, direction] of terms) {
      const [x, y] = [a.sortable[column], b.sortable[column]];
      if (x === y) continue;
      const less = x === null || (y !== null && x < y);
      return less === (direction !== 'desc') ? -1 : 1;
    }
    return 0;
  };
}

/** Options keep their dollar sign, as every other service writes them. */
const spellQuery = (search) => search.toString().replace(/%24/g, '$').replace(/\+/g, '%20');

function selected(row, search) {
  const names = search.get('$select')?.split(',').map((name) => name.trim());
  return names ? Object.fromEntries(names.map((name) => [name, row[name]])) : row;
}

/** One page of a set: what the query selects, from the offset that `$skiptoken` or `$skip` names. */
function page(table, request) {
  const { search } = request.shop;
  let found = table;
  if (search.has('$filter')) {
    const matches = createFilter(search.get('$filter'));
    found = found.filter((row) => matches(row.sortable));
  }
  // The library counts by reading everything: hand it cheap rows, and never a page of them.
  if (request.shop.path.endsWith('/$count')) return new Array(found.length).fill(0);
  if (search.has('$orderby')) found = [...found].sort(comparison(search.get('$orderby')));

  const [, resumed, rest] = request.shop.skiptoken?.match(/^(\d+)-(\d*)$/) ?? [];
  const offset = Number(resumed ?? search.get('$skip') ?? 0);
  const top = rest ?? search.get('$top') ?? '';
  const left = Math.min(top === '' ? Infinity : Number(top), Math.max(found.length - offset, 0));
  const taken = Math.min(left, request.shop.pageSize);
  if (taken < left) {
    const link = new URLSearchParams(search);
    link.delete('$skip');
    link.delete('$top');
    link.set('$skiptoken', `${offset + taken}-${top === '' ? '' : Number(top) - taken}`);
    request.shop.nextLink = `${request.shop.origin}${request.shop.path}?${spellQuery(link)}`;
  }
  const result = found.slice(offset, offset + taken).map((row) => selected(row.wire, search));
  if (search.get('$count') === 'true') result.inlinecount = found.length;
  return result;
}

class Server extends ODataServer {
  // The library looks at every property of every row again, 0.4 ms a row; ours are finished already.
  static createProcessor(context, settings) {
    return super.createProcessor(context, { ...settings, disableEntityConversion: true });
  }
}
odata.namespace('Shop')(Server);

for (const [name, set] of Object.entries(shop.sets)) {
  const Type = { [set.type]: class {} }[set.type];
  for (const column of set.columns) {
    Edm[column.type](Type.prototype, column.name);
    if (column.rule === 'key') Edm.Key(Type.prototype, column.name);
    if (!column.nullable) Edm.Required(Type.prototype, column.name);
    if (column.type === 'Decimal') {
      Edm.Precision(19)(Type.prototype, column.name);
      Edm.Scale(4)(Type.prototype, column.name);
    }
  }
  const table = tableOf(name);
  const key = set.columns[0].name;
  const Controller = { [name]: class extends ODataController {
    find(context) { return page(table, context.request); }

    findOne(id, context) {
      const row = table.find((candidate) => String(candidate.sortable[key]) === String(id));
      return row && selected(row.wire, context.request.shop.search);
    }
  } }[name];
  // The decorators of the library, called by hand because JavaScript has no syntax for them.
  odata.GET(Controller.prototype, 'find');
  odata.context(Controller.prototype, 'find', 0);
  odata.GET(Controller.prototype, 'findOne');
  odata.key(Controller.prototype, 'findOne', 0);
  odata.context(Controller.prototype, 'findOne', 1);
  odata.type(Type)(Controller);
  odata.controller(Controller, name)(Server);
}

/** Decimal and Int64 leave as numbers, or as strings when the client asks for IEEE754Compatible. */
function bareNumbers(text, isString) {
  return text.replace(/"\\u0001([^"]*)"/g, isString ? '"$1"' : '$1').replaceAll('\\u0001', '');
}

const app = express();
app.get('/_truth', (request, response) => response.json(truth('v4')));
app.use((request, response, next) => {
  const asked = new URL(request.url, url);
  const set = asked.pathname.match(/^\/(\w+)/)?.[1];
  if (set && !shop.sets[set]) {
    response.status(404).json({ error: { code: '404', message: `no entity set ${set}` } });
    return;
  }
  const preferred = Number(request.headers.prefer?.match(/odata\.maxpagesize=(\d+)/)?.[1] ?? pageSize);
  request.shop = {
    search: asked.searchParams,
    path: asked.pathname,
    origin: `http://${request.headers.host}`,
    skiptoken: asked.searchParams.get('$skiptoken'),
    pageSize: Math.max(1, Math.min(pageSize, preferred)),
  };
  // The library's parser refuses an empty or unknown $skiptoken, so it never sees one.
  if (request.shop.skiptoken !== null) {
    const rest = new URLSearchParams(asked.searchParams);
    rest.delete('$skiptoken');
    request.url = `${asked.pathname}?${spellQuery(rest)}`.replace(/\?$/, '');
  }
  const isString = /IEEE754Compatible=true/i.test(request.headers.accept ?? '');
  const send = response.send.bind(response);
  response.send = (body) => {
    const text = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : String(body);
    if (!text.startsWith('{')) return send(text);
    const link = request.shop.nextLink ? `,"@odata.nextLink":${JSON.stringify(request.shop.nextLink)}}` : '}';
    return send(bareNumbers(text.slice(0, -1) + link, isString));
  };
  next();
});
app.use(Server.create());
server.on('request', app);
ready(args, { url, service: `${url}/`, metadata: `${url}/$metadata`, truth: `${url}/_truth`, page_size: pageSize, sets: Object.keys(shop.sets) });
