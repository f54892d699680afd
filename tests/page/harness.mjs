// What the checks in a browser share: TAP lines, pages whose complaints and requests are noted, waiting.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(`${process.env.FILTERATLAS_MODULES}/`)("playwright-core");

let failed = 0;
export function ok(what, condition, ...details) {
  if (!condition) failed++;
  console.log(`${condition ? "ok" : "not ok"} - page: ${what}`);
  if (!condition) for (const detail of details) console.log(`#   ${JSON.stringify(detail)}`);
}
export const same = (what, got, wanted) => ok(what, JSON.stringify(got) === JSON.stringify(wanted), { got, wanted });

export const addressOf = (folder) => pathToFileURL(`${folder}/index.html`).href;
export const complaints = [], requests = [];
let browser;

// A page of its own for each group of checks; whatever it complains of or asks for is noted.
export async function openPage(folder, hash = "", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.asked = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure(); // aborted: nobody waits for it any more, the page has gone on
    if (errorText !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}: ${errorText}`);
  });
  page.on("request", (request) => { requests.push(request.url()); page.asked.push(request.url()); });
  await page.goto(addressOf(folder) + hash);
  return page;
}
export const askedFor = (page, pattern) => page.asked.filter((url) => pattern.test(url)).length;

// Polls, for 20 s at most; whether the condition came true. What a page does next it may do later, on a busy machine much later.
export async function becomes(condition) {
  for (const end = Date.now() + 20000; !await condition();) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

// Runs the groups of checks in turn, and ends the program.
export async function runChecks(executablePath, groups) {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    for (const group of groups) await group();
  } catch (error) {
    ok(error.stack.split("\n")[0], false, error.stack);
  }
  same("no error or warning on the console", complaints, []);
  same("everything comes from the disk", requests.filter((url) => !/^(file|data):/.test(url)), []);
  await browser.close();
  process.exit(failed ? 1 : 0);
}
