#!/usr/bin/env node
// Azure Blob Storage: Azurite in a folder of its own, which is removed at the end unless `--dir` names one.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { options, ready } from './rig.mjs';

const START_SECS_MAX = 60;
const args = options({ dir: { type: 'string' } });
const dir = args.dir ?? mkdtempSync(join(tmpdir(), 'haul-azurite-'));

// Azurite does not say which port it took when asked for 0, so we take a free one first.
async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => { probe.listen(0, '127.0.0.1', resolve); });
  const { port } = probe.address();
  await new Promise((resolve) => { probe.close(resolve); });
  return port;
}

const port = Number(args.port) || await freePort();
const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
// Telemetry off; the version check off, because it knows only the API versions of its release day.
const child = spawn(process.execPath, [main, '--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', dir,
  '--silent', '--disableTelemetry', '--skipApiVersionCheck'], { stdio: ['ignore', 2, 2] });

const gone = new Promise((resolve) => { child.on('exit', resolve); });
function clean() {
  if (!args.dir) rmSync(dir, { recursive: true, force: true });
}
async function stop() {
  child.kill('SIGTERM');
  // It flushes its database for seconds; nobody needs this one.
  if (await Promise.race([gone, sleep(2000, 'late')]) === 'late') child.kill('SIGKILL');
  await gone;
  clean();
}
gone.then((code) => {
  console.error(`azurite ended: ${code}`);
  clean();
  process.exit(1);
});

const account = 'devstoreaccount1';
const url = `http://127.0.0.1:${port}/${account}`;
for (let waited = 0; ; waited += 0.05) {
  const answer = await fetch(`${url}?comp=list`).catch(() => null);
  if (answer) break;
  if (waited > START_SECS_MAX) throw new Error(`azurite did not answer within ${START_SECS_MAX} s`);
  await sleep(50);
}
ready(args, {
  url,
  account,
  // The key that every Azurite has, published by its makers.
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
}, stop);
