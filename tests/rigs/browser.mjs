// Plays the user's browser: opens an authorization address, fills in the login and consent forms, and follows the
// redirect back to the client; with `--paste` it prints that last address instead. The page of a device's code is one
// more form.
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
let form;
for (let step = 0; step < STEPS_MAX; step += 1) {
  if (url.origin !== start.origin) {
    if (option.paste) console.log(url.href);
    else await (await fetch(url)).text();
    process.exit(0);
  }
  const answer = await ask(url, form);
  form = undefined;
  if (answer.status >= 300 && answer.status < 400) {
    url = new URL(answer.headers.get("location"), url);
    continue;
  }
  const page = await answer.text();
  const action = /action="([^"]+)"/.exec(page)?.[1];
  if (action === undefined) {
    // A device's login ends here: no redirect leads back.
    if (answer.status === 200 && /Sign-in Success/.test(page)) process.exit(0);
    throw new Error(`no form at ${url.pathname} (${answer.status}): ${page.slice(0, 500)}`);
  }
  const hidden = [...page.matchAll(/name="([^"]+)"[^>]*value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
  form = new URLSearchParams([...hidden, ["login", "user"], ["password", "x"]]);
  url = new URL(action, url);
}
throw new Error("the login does not come to an end");
