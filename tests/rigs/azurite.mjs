// Azurite's blob service on a free port with a folder of its own, which goes with it.
//
//   node azurite.mjs [--stay]
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

import { freePort, options, ready } from "./common.mjs";

// Published by Microsoft for the emulator; no secret.
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const TRIES_MAX = 300;

const port = await freePort();
const folder = mkdtempSync(join(tmpdir(), "azurite-"));
const program = join(createRequire(import.meta.url).resolve("azurite/package.json"), "../dist/src/blob/main.js");
const args = [program, "--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder, "--skipApiVersionCheck", "--silent"];
const azurite = spawn(process.execPath, args.map(String), { stdio: ["ignore", "ignore", "inherit"] });
process.on("exit", () => {
  // Asked to end it would write once more, into a folder that is gone.
  azurite.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});
for (let tries = 0; ; tries += 1) {
  if (tries > TRIES_MAX) throw new Error("Azurite does not answer");
  try {
    await fetch(`http://127.0.0.1:${port}/`);
    break;
  } catch {
    await wait(100);
  }
}
ready({ url: `http://127.0.0.1:${port}/${ACCOUNT}`, account: ACCOUNT, key: KEY }, options());
