// A PostgreSQL on a free port with a folder of its own, which goes with the process that started it. Passwords are checked
// (SCRAM).
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

import { freePort } from "./common.mjs";

const USER = "haul";
const PASSWORD = "rig-Pa55word";
const DEBIAN = "/usr/lib/postgresql";
const TRIES_MAX = 300;

/** The folder of the programs: Debian keeps them out of PATH, by version. */
function programs() {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).map(Number).filter(Boolean) : [];
  const newest = versions.sort((a, b) => b - a).find((version) => existsSync(join(DEBIAN, `${version}`, "bin/initdb")));
  if (newest !== undefined) return join(DEBIAN, `${newest}`, "bin");
  return dirname(execFileSync("which", ["initdb"], { encoding: "utf8" }).trim());
}

/** Ready when it asks for a password: a connection alone may be met by "starting up". */
function answers(bin, port) {
  try {
    execFileSync(join(bin, "pg_isready"), ["--quiet", "--host", "127.0.0.1", "--port", `${port}`]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts it and gives its address. `tls` also makes an authority of its own, whose certificate for `localhost` the server
 * shows; `stay` lets it tell its log.
 */
export async function startPostgres({ tls, stay } = {}) {
  const bin = programs();
  const folder = mkdtempSync(join(tmpdir(), "postgres-"));
  const data = join(folder, "data");
  const isRoot = process.getuid() === 0;
  // The server refuses to run as root; Debian's package brings a user for it.
  const as = (program, args) => (isRoot ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", program, ...args]] : [program, args]);
  const run = (program, args, stderr = "inherit") => execFileSync(...as(program, args), { cwd: folder, stdio: ["ignore", "ignore", stderr] });

  const port = await freePort();
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
  chmodSync(folder, 0o777);
  run(join(bin, "initdb"), ["--pgdata", data, "--username", USER, "--pwfile", passwordFile, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]);

  const settings = ["-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", "", "-c", "max_connections=50"];
  if (tls) {
    // It tells its progress there.
    const openssl = (...args) => run("openssl", args, "ignore");
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Rig authority", "-keyout", "ca.key", "-out", "ca.pem");
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr");
    writeFileSync(join(folder, "names"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n");
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem");
    settings.push("-c", "ssl=on", "-c", `ssl_cert_file=${join(folder, "server.pem")}`, "-c", `ssl_key_file=${join(folder, "server.key")}`);
  }

  const server = spawn(...as(join(bin, "postgres"), settings), { cwd: folder, stdio: ["ignore", "ignore", stay ? "inherit" : "ignore"] });
  process.on("exit", () => {
    // SIGINT is a fast shutdown: sessions are ended, files are written; it needs milliseconds here.
    server.kill("SIGINT");
    for (let tries = 0; tries < TRIES_MAX && existsSync(join(data, "postmaster.pid")); tries += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    rmSync(folder, { recursive: true, force: true });
  });

  for (let tries = 0; !answers(bin, port); tries += 1) {
    if (tries > TRIES_MAX) throw new Error("PostgreSQL does not answer");
    await wait(100);
  }
  const host = tls ? "localhost" : "127.0.0.1";
  const facts = { url: `postgres://${USER}:${PASSWORD}@${host}:${port}/postgres`, user: USER, password: PASSWORD, port };
  return tls ? { ...facts, authority: join(folder, "ca.pem") } : facts;
}
