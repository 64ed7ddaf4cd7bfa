// A real browser, without a window: opens an authorization address, fills in the login and consent forms by what a
// person sees, and stays until the client's own page says that the login is done.
//
//   node chromium.mjs URL
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

import { options } from "./common.mjs";

const STEPS_MAX = 20;
const WAIT_MAX_MS = 30_000;
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (executablePath === undefined) throw new Error("there is no chromium: run `tests/rigs/install`");

const start = new URL(options()._[0]);
const args = ["--no-sandbox", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath, args, timeout: WAIT_MAX_MS });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MAX_MS);
  // The pages ask for fonts from elsewhere; nothing but this machine is reached from here.
  await page.route("**", (route) => {
    const isHere = new URL(route.request().url()).hostname === "127.0.0.1";
    return isHere ? route.continue() : route.abort();
  });
  await page.goto(start.href, { waitUntil: "domcontentloaded" });
  for (let step = 0; new URL(page.url()).origin === start.origin; step += 1) {
    if (step > STEPS_MAX) throw new Error(`the login does not come to an end: ${page.url()}`);
    for (const [name, text] of [["login", "user"], ["password", "x"]]) {
      const field = page.locator(`input[name=${name}]`);
      if (await field.count()) await field.fill(text);
    }
    const before = page.url();
    await page.locator("button[type=submit]").first().click();
    await page.waitForURL((url) => url.href !== before, { waitUntil: "domcontentloaded" });
  }
  console.log((await page.locator("body").innerText()).trim());
} finally {
  await browser.close();
}
