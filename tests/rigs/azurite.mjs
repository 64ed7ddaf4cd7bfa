// Azurite's blob service on a free port with a folder of its own, which goes with it. With a certificate it speaks TLS, and takes
// bearer tokens whose signature it does not look at.
//
//   node azurite.mjs [--cert FILE --key FILE] [--stay]
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

import { freePort, options, ready } from "./common.mjs";

// Published by Microsoft for the emulator; no secret.
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const TRIES_MAX = 300;

const given = options();
const port = await freePort();
const folder = mkdtempSync(join(tmpdir(), "azurite-"));
const program = join(createRequire(import.meta.url).resolve("azurite/package.json"), "../dist/src/blob/main.js");
const args = [program, "--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder, "--skipApiVersionCheck", "--silent"];
if (given.cert) args.push("--cert", given.cert, "--key", given.key, "--oauth", "basic");
const scheme = given.cert ? "https" : "http";
const azurite = spawn(process.execPath, args.map(String), { stdio: ["ignore", "ignore", "inherit"] });
process.on("exit", () => {
  // Asked to end it would write once more, into a folder that is gone.
  azurite.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});
for (let tries = 0; ; tries += 1) {
  if (tries > TRIES_MAX) throw new Error("Azurite does not answer");
  try {
    // A certificate of the test's own is no matter here: whether it listens is asked.
    await new Promise((done, failed) => connect(port, "127.0.0.1", done).on("error", failed).unref());
    break;
  } catch {
    await wait(100);
  }
}
ready({ url: `${scheme}://127.0.0.1:${port}/${ACCOUNT}`, account: ACCOUNT, key: KEY }, given);
