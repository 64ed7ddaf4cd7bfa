#!/usr/bin/env node
// A service behind OAuth2: forwards a request only with a token that the authorization server calls active now.
import { setTimeout as sleep } from 'node:timers/promises';
import { clients } from './clients.mjs';
import { listen, options, ready, sendJson } from './rig.mjs';

const args = options({
  upstream: { type: 'string' },
  oidc: { type: 'string' },
  latency: { type: 'string', default: '0' },
});
const upstream = new URL(args.upstream).origin;
const { server, url } = await listen(args);

const stats = { requests: 0, forwarded: 0, refused_401: 0, distinct_tokens: 0 };
const tokens = new Set();

const { client_id: id, client_secret: secret } = clients.find((c) => c.client_id === 'guard');
const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

// No cache: a token must stop working in the very request after its end or its revocation.
async function isActive(token) {
  const response = await fetch(`${args.oidc}/token/introspection`, {
    method: 'POST', headers: { authorization }, body: new URLSearchParams({ token }),
  });
  if (!response.ok) throw new Error(`introspection: ${response.status} ${await response.text()}`);
  const facts = await response.json();
  return facts.active === true && (facts.scope ?? '').split(' ').includes('api');
}

function refuse(response, detail) {
  stats.refused_401 += 1;
  response.setHeader('www-authenticate', `Bearer error="invalid_token", error_description="${detail}"`);
  sendJson(response, 401, { error: 'invalid_token', error_description: detail });
}

async function forward(request, response) {
  stats.requests += 1;
  if (Number(args.latency)) await sleep(Number(args.latency));
  const token = request.headers.authorization?.match(/^Bearer (\S+)$/i)?.[1];
  if (!token) return refuse(response, 'no bearer token');
  if (!await isActive(token)) return refuse(response, 'the token is not active');
  tokens.add(token);
  stats.distinct_tokens = tokens.size;
  stats.forwarded += 1;

  const headers = { ...request.headers };
  for (const name of ['authorization', 'connection', 'content-length', 'host', 'transfer-encoding']) delete headers[name];
  // `fetch` unpacks, and we rewrite: ask for plain bodies.
  headers['accept-encoding'] = 'identity';
  const hasBody = !['GET', 'HEAD'].includes(request.method);
  const answer = await fetch(upstream + request.url, {
    method: request.method, headers, redirect: 'manual', body: hasBody ? request : undefined, duplex: hasBody ? 'half' : undefined,
  });
  // Next links and contexts that name the upstream must lead back through us, or a walk would slip past the check.
  const own = (text) => text.replaceAll(upstream, url);
  const isText = /json|xml|text/.test(answer.headers.get('content-type') ?? '');
  const raw = Buffer.from(await answer.arrayBuffer());
  const body = isText ? Buffer.from(own(raw.toString('utf8'))) : raw;
  for (const [name, value] of answer.headers) {
    if (!['connection', 'content-length', 'etag', 'keep-alive', 'transfer-encoding'].includes(name)) response.setHeader(name, own(value));
  }
  response.setHeader('content-length', body.length);
  response.statusCode = answer.status;
  return response.end(body);
}

server.on('request', (request, response) => {
  if (request.url === '/_stats') {
    sendJson(response, 200, stats);
    return;
  }
  forward(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) sendJson(response, 502, { error: 'bad_gateway', error_description: String(error) });
    else response.destroy();
  });
});
ready(args, { url, upstream, oidc: args.oidc });
