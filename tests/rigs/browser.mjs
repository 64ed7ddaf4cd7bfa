// Plays the user's browser: opens an authorization address, fills in the login and consent forms, and follows the
// redirect back to the client; with `--paste` it prints that last address instead.
//
//   node browser.mjs URL [--paste]
import { options } from "./common.mjs";

const STEPS_MAX = 20;
const option = options();
const start = new URL(option._[0]);
const cookies = new Map();

async function ask(url, form) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const answer = await fetch(url, { method: form ? "POST" : "GET", body: form, redirect: "manual", headers: { cookie } });
  for (const line of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return answer;
}

let url = start;
for (let step = 0; step < STEPS_MAX; step += 1) {
  if (url.origin !== start.origin) {
    if (option.paste) console.log(url.href);
    else await (await fetch(url)).text();
    process.exit(0);
  }
  let answer = await ask(url);
  if (answer.status < 300 || answer.status >= 400) {
    const page = await answer.text();
    const action = /action="([^"]+)"/.exec(page)?.[1];
    if (action === undefined) throw new Error(`no form at ${url.pathname} (${answer.status}): ${page.slice(0, 500)}`);
    const hidden = [...page.matchAll(/name="([^"]+)"[^>]*value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
    answer = await ask(new URL(action, url), new URLSearchParams([...hidden, ["login", "user"], ["password", "x"]]));
  }
  url = new URL(answer.headers.get("location"), url);
}
throw new Error("the login does not come to an end");
