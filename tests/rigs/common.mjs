// What the rigs share: options, and the one line that says a rig is ready.
import { createServer } from "node:net";

/** `--name value` and `--flag` as an object; other words in `_`. */
export function options() {
  const words = process.argv.slice(2);
  const found = { _: [] };
  for (let at = 0; at < words.length; at += 1) {
    if (!words[at].startsWith("--")) {
      found._.push(words[at]);
      continue;
    }
    const isFlag = words[at + 1] === undefined || words[at + 1].startsWith("--");
    found[words[at].slice(2)] = isFlag ? true : words[(at += 1)];
  }
  return found;
}

/** Listens on a free loopback port, or the one asked for. */
export async function listen(server, port) {
  await new Promise((done) => server.listen(Number(port ?? 0), "127.0.0.1", done));
  return `http://127.0.0.1:${server.address().port}`;
}

/** A port that was free a moment ago, for servers that must be told one. */
export function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/** Says that the rig is ready, and ends with the test: at SIGTERM, or when its standard input does. */
export function ready(facts, { stay } = {}) {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
  process.on("SIGTERM", () => process.exit(0));
  if (!stay) process.stdin.on("end", () => process.exit(0)).resume();
}

/** The whole body of a request or answer. */
export async function bodyOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function sendJson(response, value, status = 200) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}
