#!/usr/bin/env node
// The user's browser: signs in, agrees, and follows the redirect back. `--paste` prints that redirect instead.
import { parseArgs } from 'node:util';

const STEPS_MAX = 20;
const { values, positionals: [start] } = parseArgs({ allowPositionals: true, options: { paste: { type: 'boolean', default: false } } });
if (!start) {
  console.error('usage: browser.mjs [--paste] AUTHORIZATION_URL');
  process.exit(2);
}

const jar = new Map();
const home = new URL(start).origin;

function keepCookies(url, response) {
  for (const line of response.headers.getSetCookie()) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const path = attributes.find((a) => /^path=/i.test(a))?.slice(5) ?? '/';
    const expires = attributes.find((a) => /^expires=/i.test(a))?.slice(8);
    if (expires && new Date(expires) < new Date()) jar.delete(`${path} ${name}`);
    else jar.set(`${path} ${name}`, pair);
  }
}

async function visit(url, form) {
  const cookie = [...jar].filter(([key]) => url.pathname.startsWith(key.split(' ')[0])).map(([, pair]) => pair).join('; ');
  const response = await fetch(url, { method: form ? 'POST' : 'GET', body: form, headers: cookie ? { cookie } : {}, redirect: 'manual' });
  keepCookies(url, response);
  return response;
}

const attribute = (tag, name) => tag.match(new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`, 'i'))?.[1];
const unescape = (text) => text.replace(/&amp;/g, '&');

function fillForm(html, base) {
  const form = html.match(/<form[^>]*>[\s\S]*?<\/form>/i)?.[0];
  if (!form) return null;
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input[^>]*>/gi)) {
    const name = attribute(input, 'name');
    if (!name) continue;
    const typed = { login: 'alice', password: 'wonderland' }[name];
    fields.set(name, typed ?? attribute(input, 'value') ?? '');
  }
  return { url: new URL(unescape(attribute(form, 'action') ?? base.href), base), fields };
}

let url = new URL(start);
let form;
for (let step = 0; step < STEPS_MAX; step += 1) {
  if (url.origin !== home) {
    if (values.paste) process.stdout.write(`${url.href}\n`);
    else console.error(`back at the application: ${(await fetch(url)).status}`);
    process.exit(0);
  }
  const response = await visit(url, form);
  form = undefined;
  if (response.status >= 300 && response.status < 400) {
    url = new URL(response.headers.get('location'), url);
    continue;
  }
  const html = await response.text();
  const filled = response.ok ? fillForm(html, url) : null;
  if (!filled) {
    console.error(`stuck at ${url.pathname}: ${response.status} ${html.replace(/<style[\s\S]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ').slice(0, 400)}`);
    process.exit(1);
  }
  url = filled.url;
  form = filled.fields;
}
console.error(`gave up after ${STEPS_MAX} steps`);
process.exit(1);
