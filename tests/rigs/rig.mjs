// What every rig does alike: one port, one JSON line when ready, gone when its test is gone.
import { fstatSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

// Stdout belongs to the one JSON line; libraries like to greet there.
console.log = console.error;
console.info = console.error;

/** Command line: `spec` as `parseArgs` wants it, beside the options that every rig takes. */
export function options(spec = {}) {
  const common = { port: { type: 'string', default: '0' }, stay: { type: 'boolean', default: false } };
  return parseArgs({ options: { ...common, ...spec } }).values;
}

/** Opens the port at once, because issuers and links must name it before the service exists. */
export async function listen(args) {
  const server = createServer();
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(args.port), '127.0.0.1', resolve);
  });
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** Says that the rig is ready and arranges its end; `stop` may clean up before. */
export function ready(args, facts, stop = () => {}) {
  let isStopping = false;
  const end = async () => {
    if (isStopping) return;
    isStopping = true;
    try { await stop(); } finally { process.exit(0); }
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  // A test that dies closes our stdin. A terminal or /dev/null says nothing about a test.
  const stdin = fstatSync(0, { throwIfNoEntry: false });
  if (!args.stay && stdin && (stdin.isFIFO() || stdin.isSocket())) {
    process.stdin.on('end', end).on('error', end).resume();
  }
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

export function sendJson(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}
