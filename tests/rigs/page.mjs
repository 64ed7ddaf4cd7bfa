// A person at the daemon's web page, in a real browser: looks, runs, watches, previews, connects and approves by what they see,
// takes pictures in both sizes and colours, and lets an accessibility checker look at every page. Prints what was seen as JSON;
// anything that is not as it should be is an error.
//
//   node page.mjs --base URL --out DIR [--token TOKEN]
import { strict as assert } from "node:assert";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { options } from "./common.mjs";

const WAIT_MAX_MS = 30_000;
const option = options();
const { base, out } = option;
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (executablePath === undefined) throw new Error("there is no chromium: run `tests/rigs/install`");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(out, { recursive: true });

const looks = [];
for (const [size, width, height] of [["wide", 1280, 900], ["narrow", 390, 844]])
  for (const colours of ["light", "dark"]) looks.push({ size, colours, viewport: { width, height } });

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"], timeout: WAIT_MAX_MS });
const seen = { pictures: 0, checked: 0, faults: [], progress: [] };

async function context(settings = {}) {
  const made = await browser.newContext(settings);
  made.setDefaultTimeout(WAIT_MAX_MS);
  // The provider's pages ask for fonts from elsewhere; nothing but this machine is reached from here.
  await made.route("**", (route) => (new URL(route.request().url()).hostname === "127.0.0.1" ? route.continue() : route.abort()));
  return made;
}

/** A tab whose console must stay empty. */
async function tab(where) {
  const page = await where.newPage();
  page.on("pageerror", (error) => seen.faults.push(`${page.url()}: ${error.message}`));
  // A page that is not there is looked at on purpose.
  const isMeant = (text) => /status of 404/.test(text) && page.url().endsWith("/nobody");
  page.on("console", (message) => message.type() === "error" && !isMeant(message.text()) && seen.faults.push(`${page.url()}: ${message.text()}`));
  page.on("dialog", (dialog) => dialog.accept());
  return page;
}

async function enter(page) {
  if (!option.token) return;
  await page.goto(base);
  await page.getByLabel("Token").fill(option.token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Jobs" }).waitFor();
}

/** Pictures of a page in every size and colour, each looked at by the accessibility checker. */
async function look(name, path) {
  for (const { size, colours, viewport } of looks) {
    const where = await context({ viewport, colorScheme: colours, bypassCSP: true, storageState });
    const page = await tab(where);
    await page.goto(base + path);
    await page.screenshot({ path: join(out, `${name}-${size}-${colours}.png`), fullPage: true });
    seen.pictures += 1;
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wider > 0) seen.faults.push(`${path} is ${wider} pixels wider than a ${size} screen`);
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    seen.checked += 1;
    for (const { id, impact, nodes } of found.violations) {
      const fault = `${path} ${size} ${colours}: ${impact} ${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`;
      if (["serious", "critical"].includes(impact)) seen.faults.push(fault);
    }
    await where.close();
  }
}

const person = await context({ viewport: { width: 1280, height: 900 } });
const page = await tab(person);
await enter(page);
const storageState = await person.storageState();
process.on("uncaughtException", async (error) => {
  console.error(error, `\nat ${page.url()}:\n${await page.locator("main").innerText()}\nfaults: ${seen.faults.join("\n")}`);
  process.exit(1);
});

// Opens the page and sees a failed run with its reason.
await page.goto(base);
const row = (job) => page.locator("tr", { has: page.getByRole("link", { name: job, exact: true }) });
await row("broken").getByText("failing").waitFor();
await look("jobs", "/");
await row("broken").getByRole("link", { name: "failed" }).click();
await page.getByRole("heading", { name: "Why" }).waitFor();
seen.reason = await page.locator(".note").first().innerText();
assert.match(seen.reason, /403/);
await look("failed-run", new URL(page.url()).pathname);

// Runs a job now, and watches its progress without touching anything.
await page.goto(`${base}/jobs/slow`);
await page.getByRole("button", { name: "Run now" }).click();
await page.getByText("Running for").waitFor();
let isPictured = false;
for (let last = -1; ; ) {
  const state = await page.locator("#state").innerText();
  if (!/Running for/.test(state)) break;
  const rows = Number(/reading\s+([\d,]+)/.exec(state)?.[1].replaceAll(",", "") ?? 0);
  if (rows > last) seen.progress.push((last = rows));
  if (rows > 0 && !isPictured) {
    isPictured = true;
    await page.screenshot({ path: join(out, "progress-wide-light.png"), fullPage: true });
    seen.pictures += 1;
  }
  await page.waitForTimeout(100);
}
assert.ok(seen.progress.length >= 4, `progress was seen as ${seen.progress}`);
// It ends in the history by itself, too.
await page.locator("#history .pill", { hasText: "published" }).first().waitFor();

// Previews a table.
await page.reload();
await page.getByRole("link", { name: "items", exact: true }).click();
await page.getByRole("heading", { name: "First rows" }).waitFor();
seen.preview = await page.locator("table.data tbody tr").count();
seen.first_row = await page.locator("table.data tbody tr").first().locator("td").allInnerTexts();
await look("table", "/jobs/slow/tables/items");

// Connects a credential at the real authorization server.
await page.goto(`${base}/jobs/finance`);
await page.locator("#credential").getByText("no login yet").waitFor();
await page.getByRole("button", { name: "Connect" }).click();
const [provider] = await Promise.all([person.waitForEvent("page"), page.getByRole("link", { name: /^Log in at/ }).click()]);
for (let step = 0; step < 20; step += 1) {
  await provider.waitForLoadState();
  if (/Logged in/.test(await provider.content())) break;
  for (const [name, text] of [["login", "user"], ["password", "x"]]) {
    const field = provider.locator(`input[name=${name}]`);
    if (await field.count()) await field.fill(text);
  }
  await Promise.all([provider.waitForNavigation(), provider.locator("button[type=submit]").click()]);
}
assert.match(await provider.content(), /Logged in/);
await provider.close();
await page.locator("#credential").getByText("Logged in.").waitFor();
await page.getByRole("button", { name: "Run now" }).click();
await page.locator("#history .pill", { hasText: "published" }).first().waitFor();
await look("job", "/jobs/finance");
await look("credentials", "/credentials");
await look("powerbi", "/jobs/finance/powerbi");

// Takes the tables along to Power BI: chooses, copies a query, downloads the project.
await page.goto(`${base}/jobs/finance/powerbi`);
await page.getByLabel("each with all it needs").check();
await page.getByRole("button", { name: "Show" }).click();
await page.waitForURL(/form=self-contained/);
const copied = page.locator("details", { has: page.locator("summary", { hasText: /^items$/ }) });
if (!(await copied.getAttribute("open").then((is) => is !== null))) await copied.locator("summary").click();
await person.grantPermissions(["clipboard-read", "clipboard-write"]);
await copied.getByRole("button", { name: "Copy" }).click();
await copied.getByRole("button", { name: "Copied" }).waitFor();
seen.query = await page.evaluate(() => navigator.clipboard.readText());
const [project] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "finance-project.zip" }).click()]);
seen.project = join(out, project.suggestedFilename());
await project.saveAs(seen.project);

// Approves a held run: the second of two, which has too few rows.
await page.goto(`${base}/jobs/shrinking`);
for (const outcome of ["published", "held"]) {
  await page.getByRole("button", { name: "Run now" }).click();
  await page.locator("#history .pill", { hasText: outcome }).first().waitFor();
}
await page.getByText("A run is held").waitFor();
await look("held", "/jobs/shrinking");
await page.getByRole("button", { name: "Approve and publish" }).click();
await page.getByText("A run is held").waitFor({ state: "detached" });
await page.goto(`${base}/jobs/shrinking/tables/items`);
seen.approved = await page.locator("main > p").first().innerText();

// Pauses and resumes.
await page.goto(`${base}/jobs/slow`);
await page.getByRole("button", { name: "Pause" }).click();
await page.getByText("no run begins by itself").waitFor();
await page.getByRole("button", { name: "Resume" }).click();
await page.getByText("no run begins by itself").waitFor({ state: "detached" });

// Everything by the keyboard: the first stop leads past the navigation, and Enter presses.
await page.goto(`${base}/jobs/slow`);
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
await page.getByRole("button", { name: "Pause" }).focus();
await page.keyboard.press("Enter");
await page.getByText("no run begins by itself").waitFor();
await page.getByRole("button", { name: "Resume" }).click();

// And all of it without JavaScript.
const plain = await context({ javaScriptEnabled: false, storageState });
const still = await plain.newPage();
await still.goto(`${base}/jobs/slow`);
await still.getByRole("button", { name: "Run now" }).click();
seen.without_scripts = await still.locator("meta[http-equiv=refresh]").count() + (await still.getByText("Running for").count());
await look("problem", "/jobs/nobody");

await browser.close();
console.log(JSON.stringify(seen));
