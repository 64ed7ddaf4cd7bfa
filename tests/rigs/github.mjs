// What GitHub's own API answered, recorded by the makers of its client: thirteen issues on five pages. The Link header leads
// from `/repos/OWNER/NAME` to `/repositories/1000`; a request must carry the recorded token and media type; each answer is
// given once, in the order of the recording. `/_truth` is computed from the recording.
//
//   node github.mjs [--stay]
import { createServer } from "node:http";

import fixturesServer from "@octokit/fixtures-server";
import defaults from "@octokit/fixtures-server/lib/defaults.js";
import express from "express";

import { freePort, listen, options, ready } from "./common.mjs";
import { factsOf, printsOf } from "./entities.mjs";

const SCENARIO = "paginate-issues";
const DAY_MS = 86_400_000;

const recording = defaults.fixtures[SCENARIO];
const issues = recording.flatMap(({ response }) => response);

function truth() {
  const rows = issues.map(({ id, number, title, user, created_at }) => ({ id, number, title, user_login: user.login, created_at }));
  const isInstant = (name) => name === "created_at";
  return {
    issues: {
      ...factsOf(rows),
      distinct_ids: new Set(rows.map(({ id }) => id)).size,
      texts: printsOf(rows, "id", (name, value) => typeof value === "string" && !isInstant(name), String),
      instants: printsOf(rows, "id", isInstant, (value) => `${Date.parse(value)}000`),
    },
  };
}

const option = options();
// The addresses in the answers are made before anything listens.
const port = await freePort();
const fixturesUrl = `http://127.0.0.1:${port}`;
const app = express();
app.get("/_truth", (_, response) => response.json(truth()));
app.use(fixturesServer({ port, fixturesUrl, ttl: DAY_MS, logLevel: "silent", fixtures: { [SCENARIO]: recording } }));
const url = await listen(createServer(app), port);

const headers = { "content-type": "application/json" };
const loaded = await fetch(`${url}/fixtures`, { method: "POST", headers, body: JSON.stringify({ scenario: SCENARIO }) });
const [{ path, reqheaders }] = recording;
ready({ url, api: (await loaded.json()).url, path, token: reqheaders.authorization.replace("token ", ""), accept: reqheaders.accept }, option);
