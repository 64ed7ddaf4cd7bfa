// MIT's key distribution centre with a realm of its own, and Apache with mod_auth_gssapi in front of three pages of records:
// nothing below /etc is read or written.
//
//   node kerberos.mjs [--stay]
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

import { freePort, options, ready } from "./common.mjs";

const REALM = "RIG.HAUL";
const USER = "reader";
const PASSWORD = "canary-Kerberos-Pa55";
const PAGES = 3;
const ROWS = 20;
const TRIES_MAX = 300;
const MODULES = ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "dir", "headers"];

const option = options();
const folder = mkdtempSync(join(tmpdir(), "kerberos-"));
const inside = (name) => join(folder, name);
const [kdcPort, port] = [await freePort(), await freePort()];
const pages = inside("pages");
mkdirSync(pages);
for (let page = 1; page <= PAGES; page += 1) {
  const data = Array.from({ length: ROWS }, (_, row) => ({ id: (page - 1) * ROWS + row }));
  writeFileSync(join(pages, `items${page}.json`), JSON.stringify({ data, next: page < PAGES ? `items${page + 1}.json` : null }));
}

writeFileSync(inside("krb5.conf"), `[libdefaults]
 default_realm = ${REALM}
 dns_lookup_kdc = false
 rdns = false
[realms]
 ${REALM} = {
  kdc = 127.0.0.1:${kdcPort}
 }
`);
writeFileSync(inside("kdc.conf"), `[kdcdefaults]
 kdc_listen = 127.0.0.1:${kdcPort}
 kdc_tcp_listen = 127.0.0.1:${kdcPort}
[realms]
 ${REALM} = {
  database_name = ${inside("principal")}
  key_stash_file = ${inside("stash")}
  acl_file = ${inside("acl")}
  default_principal_flags = +preauth
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }
[logging]
 kdc = FILE:${inside("kdc.log")}
`);
const env = { ...process.env, KRB5_CONFIG: inside("krb5.conf"), KRB5_KDC_PROFILE: inside("kdc.conf"), KRB5_KTNAME: `FILE:${inside("keytab")}` };
const run = (program, args) => execFileSync(program, args, { env, stdio: ["ignore", "ignore", "inherit"] });
const admin = (query) => run("/usr/sbin/kadmin.local", ["-r", REALM, "-q", query]);
run("/usr/sbin/kdb5_util", ["create", "-s", "-r", REALM, "-P", "master-of-the-rig"]);
admin(`addprinc -pw ${PASSWORD} ${USER}`);
admin("addprinc -randkey HTTP/localhost");
admin(`ktadd -k ${inside("keytab")} HTTP/localhost`);
// Apache's workers run as a user of their own.
chmodSync(folder, 0o755);
chmodSync(inside("keytab"), 0o644);

const isRoot = process.getuid() === 0;
writeFileSync(inside("apache.conf"), `ServerRoot ${folder}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${inside("apache.pid")}
ErrorLog ${inside("error.log")}
DefaultRuntimeDir ${folder}
${MODULES.map((module) => `LoadModule ${module}_module /usr/lib/apache2/modules/mod_${module}.so`).join("\n")}
${isRoot ? "User www-data\nGroup www-data" : ""}
DocumentRoot ${pages}
Header always set Content-Type application/json
<Directory ${pages}>
  AuthType GSSAPI
  AuthName rig
  GssapiCredStore keytab:${inside("keytab")}
  Require valid-user
</Directory>
`);
const children = [
  spawn("/usr/sbin/krb5kdc", ["-n", "-r", REALM], { env, stdio: "ignore" }),
  spawn("/usr/sbin/apache2", ["-f", inside("apache.conf"), "-D", "FOREGROUND"], { env, stdio: ["ignore", "ignore", "inherit"] }),
];
process.on("exit", () => {
  children.forEach((child) => child.kill());
  rmSync(folder, { recursive: true, force: true });
});
for (const child of children) child.on("exit", (code) => { if (code) { console.error(`a server ended (${code})`); process.exit(1); } });
const isOpen = (port) => new Promise((done) => {
  const socket = connect(port, "127.0.0.1", () => { socket.destroy(); done(true); });
  socket.on("error", () => done(false));
});
for (let tries = 0; !((await isOpen(kdcPort)) && (await isOpen(port))); tries += 1) {
  if (tries > TRIES_MAX) throw new Error("the servers do not answer");
  await wait(50);
}
ready({ url: `http://localhost:${port}`, kdc: `127.0.0.1:${kdcPort}`, realm: REALM, user: USER, password: PASSWORD, rows: `${PAGES * ROWS}` }, option);
