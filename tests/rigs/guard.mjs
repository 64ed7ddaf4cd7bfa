// A reverse proxy that lets only requests with a valid token of our authorization server through, asked for at every
// request, and rewrites the service's own address in its answers, so that next links lead back through the guard.
//
//   node guard.mjs --upstream URL --oidc URL [--latency MS] [--port N] [--stay]
import { createServer, request as ask } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

import { bodyOf, listen, options, ready, sendJson } from "./common.mjs";

const option = options();
const upstream = new URL(option.upstream);
const stats = { requests: 0, refused_401: 0, distinct_tokens: 0 };
const tokens = new Set();

async function isActive(token) {
  const authorization = `Basic ${Buffer.from("guard:guard-secret").toString("base64")}`;
  const body = new URLSearchParams({ token });
  const answer = await fetch(`${option.oidc}/token/introspection`, { method: "POST", headers: { authorization }, body });
  return (await answer.json()).active === true;
}

/** The upstream's answer. Not `fetch`: it would decode and drop headers. */
function forward(request) {
  const { authorization, host, ...headers } = request.headers;
  const path = upstream.pathname.replace(/\/$/, "") + request.url;
  return new Promise((done, failed) => {
    const target = { host: upstream.hostname, port: upstream.port, path, headers: { ...headers, "accept-encoding": "identity" } };
    ask(target, done).on("error", failed).end();
  });
}

const server = createServer(async (request, response) => {
  if (request.url === "/_stats") return sendJson(response, { ...stats, distinct_tokens: tokens.size });
  stats.requests += 1;
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined || !(await isActive(token))) {
    stats.refused_401 += 1;
    response.setHeader("www-authenticate", 'Bearer error="invalid_token"');
    return sendJson(response, { error: "invalid_token" }, 401);
  }
  tokens.add(token);
  await wait(Number(option.latency ?? 0));
  const answer = await forward(request);
  const body = (await bodyOf(answer)).toString().replaceAll(upstream.origin, `http://${request.headers.host}`);
  response.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] ?? "text/plain" });
  response.end(body);
});
ready({ url: await listen(server, option.port) }, option);
