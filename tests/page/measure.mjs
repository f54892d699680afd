// What the page costs in Chromium, for tests/page/measure. Usage: node measure.mjs CHROMIUM ATLAS
// Exit status 1: a first view takes a second or more, the console has an error, or a host is asked for something.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(`${process.env.FILTERATLAS_MODULES}/`)("playwright-core");
const [executablePath, folder] = process.argv.slice(2);
const address = pathToFileURL(`${folder}/index.html`).href;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const system = await browser.newBrowserCDPSession();

// Proportional set size of all of the browser's processes, in MB: shared pages count once.
async function memory() {
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  return processInfo.reduce((sum, { id }) => {
    const pss = /^Pss: +(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"));
    return sum + pss[1] / 1024;
  }, 0);
}

async function heap(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "JSHeapUsedSize").value / 2 ** 20;
}

const MOST = 1000; // milliseconds
let failed = false;
function complain(text) {
  failed = true;
  console.log(`  not good: ${text}`);
}

async function open(hash) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.goto("about:blank");
  await page.waitForTimeout(500);
  const before = await memory();
  const asked = [];
  page.on("request", (request) => {
    asked.push(request.url());
    if (!/^(file|data):/.test(request.url())) complain(`asks for ${request.url()}`);
  });
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complain(message.text()); });
  page.on("pageerror", (error) => complain(error.stack));
  await page.goto(address + hash);
  const paints = await page.evaluate(() => new Promise((resolve) => {
    let largest = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) largest = entry.startTime; })
      .observe({ type: "largest-contentful-paint", buffered: true });
    setTimeout(() => resolve([performance.getEntriesByName("first-contentful-paint")[0].startTime, largest]), 2500);
  }));
  const megabytes = await memory() - before;
  if (Math.max(...paints) >= MOST) complain("the first view takes a second");
  console.log(`${hash || "overview"}: first paint after ${Math.round(paints[0])} ms, largest after ${Math.round(paints[1])} ms; ` +
    `${asked.length} files; JavaScript heap ${(await heap(page)).toFixed(1)} MB, all memory ${Math.round(megabytes)} MB more than an empty page`);
  return page;
}

// Times between frames while the wheel turns.
async function scroll(page) {
  await page.mouse.move(700, 600);
  const frames = page.evaluate(() => new Promise((resolve) => {
    const times = [];
    let before = performance.now();
    const end = before + 4000;
    const next = (now) => { times.push(now - before); before = now; if (now < end) requestAnimationFrame(next); else resolve(times); };
    requestAnimationFrame(next);
  }));
  for (let i = 0; i < 35; i++) {
    await page.mouse.wheel(0, 250);
    await page.waitForTimeout(100);
  }
  const times = (await frames).sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))].toFixed(1);
  console.log(`  scrolling: ${times.length} frames in 4 s, median ${at(.5)} ms, 95 % below ${at(.95)} ms, longest ${at(1)} ms`);
}

const largest = /"name": "([^"]+)"(?![\s\S]*"name")/.exec(readFileSync(`${folder}/page/atlas.js`, "utf8"))[1];
await (await open("")).context().close();
const layer = await open(`#${largest}`);
await scroll(layer);
await layer.context().close();
await (await open("#canvas")).context().close();
await (await open(`#${largest}/0`)).context().close();

// The images of a layer, asked for where it is shown already.
if (readFileSync(`${folder}/page/atlas.js`, "utf8").includes('"examples": true')) {
  const page = await open(`#${largest}`);
  const began = Date.now();
  await page.check("#second-row input");
  await page.waitForFunction(() => [...document.querySelectorAll("#grid .example img")].slice(0, 8).every((image) => image.complete && image.naturalWidth));
  console.log(`  images beside the pictures: the first row after ${Date.now() - began} ms`);
}
await browser.close();
process.exit(failed ? 1 : 0);
