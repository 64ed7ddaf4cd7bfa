// A person who logs in to the daemon's page, with the token or at the provider, in a real browser. Prints what the page says then.
//
//   node enter.mjs --base URL [--token TOKEN]
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

import { options } from "./common.mjs";

const WAIT_MAX_MS = 30_000;
const option = options();
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (executablePath === undefined) throw new Error("there is no chromium: run `tests/rigs/install`");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"], timeout: WAIT_MAX_MS });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MAX_MS);
  await page.route("**", (route) => (new URL(route.request().url()).hostname === "127.0.0.1" ? route.continue() : route.abort()));
  await page.goto(option.base, { waitUntil: "domcontentloaded" });
  if (option.token) {
    await page.getByLabel("Token").fill(option.token);
    await page.getByRole("button", { name: "Log in" }).click();
  } else {
    await page.getByRole("button", { name: /^Log in at/ }).click();
    await page.getByRole("link", { name: /^Go on to/ }).click();
    await page.waitForURL((url) => url.origin !== option.base);
    for (let step = 0; step < 20 && new URL(page.url()).origin !== option.base; step += 1) {
      for (const [name, text] of [["login", "user"], ["password", "x"]]) {
        const field = page.locator(`input[name=${name}]`);
        if (await field.count()) await field.fill(text);
      }
      await Promise.all([page.waitForNavigation({ waitUntil: "domcontentloaded" }), page.locator("button[type=submit]").click()]);
    }
  }
  await page.waitForLoadState();
  console.log(await page.locator("body").innerText());
} finally {
  await browser.close();
}
