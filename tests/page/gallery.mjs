// The checks of page.sh of several atlases side by side, as TAP lines. Usage: node gallery.mjs CHROMIUM SITE NAME=ATLAS...
import { readFileSync, renameSync } from "node:fs";
import { basename } from "node:path";
import { addressOf, askedFor, becomes, complaints, ok, openPage, runChecks, same } from "./harness.mjs";

const [executablePath, site, ...given] = process.argv.slice(2);
const last = "block5_conv3";

// What the program says of each atlas: layer -> filter -> its loss, null if it is dead.
const atlases = given.map((pair) => {
  const [name, folder] = pair.split("="), layers = new Map();
  for (const line of readFileSync(`${folder}/losses.csv`, "utf8").trim().split("\n").slice(1)) {
    const [layer, filter, status, loss] = line.split(",");
    if (!layers.has(layer)) layers.set(layer, new Map());
    layers.get(layer).set(Number(filter), status === "live" ? Number(loss) : null);
  }
  return { name, folder, layers };
});
const lossOf = (a, filter) => atlases[a].layers.get(last)?.get(filter); // undefined: it has none
const filters = [...new Set(atlases.flatMap(({ layers }) => [...layers.get(last)?.keys() ?? []]))].sort((a, b) => a - b);
const shownFilters = filters.filter((filter) => atlases.some((_, a) => typeof lossOf(a, filter) === "number"));
const shownLoss = (loss) => String(Number(loss.toPrecision(4)));
const kernels = /"layer": "block5_conv3", "cosine": \[([^\]]*)\]/.exec(readFileSync(`${site}/page/atlas.js`, "utf8"))[1].split(",").map(Number);

// Falling by a value; those without one, null, stand last.
const sorted = (value, sign = -1) => [...shownFilters].sort((a, b) => {
  const [x, y] = [value(a), value(b)].map((v) => v ?? sign * Infinity);
  return (x === y ? 0 : sign * (x - y)) || a - b;
});
function difference(filter) {
  const losses = atlases.map((_, a) => lossOf(a, filter)).filter((loss) => loss !== undefined).map((loss) => loss ?? 0);
  return losses.length < 2 ? null : (Math.max(...losses) - Math.min(...losses)) / Math.max(...losses);
}
const everywhere = shownFilters.find((filter) => atlases.every((_, a) => typeof lossOf(a, filter) === "number"));
const gridOrder = (page) => page.$$eval("#grid a", (links) => links.map((link) => Number(link.dataset.filter)));
const open = (hash, options) => openPage(site, hash, options);

async function checkOverview() {
  const page = await open();
  await page.waitForSelector("#layers a");
  const names = [...new Set(atlases.flatMap(({ layers }) => [...layers.keys()]))].sort();
  same("a gallery has every layer of any of its atlases, in the network's order", await page.$$eval("#layers h2", (all) => all.map((h) => h.textContent)), names);
  const counts = (layer, { layers }) => {
    const losses = [...layers.get(layer)?.values() ?? []], live = losses.filter((loss) => loss !== null).length;
    return losses.length ? `${live} live, ${losses.length - live} dead` : "not in this atlas";
  };
  same("each with what each atlas has of it", await page.$$eval("#layers li", (rows) => rows.map((row) => [...row.querySelectorAll(".side")].map((side) =>
    side.querySelector("p").textContent))), names.map((layer) => atlases.map((atlas) => counts(layer, atlas))));
  same("each atlas leads to its own page", await page.$$eval("#atlases a", (links) => links.map((link) => [link.textContent, link.href])),
    atlases.map(({ name, folder }) => [name, addressOf(folder)]));
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  ok("covers come from the atlases' own folders", await becomes(() => atlases.every(({ folder }) =>
    askedFor(page, new RegExp(`${encodeURIComponent(basename(folder))}/page/[^/]*/cover.jpg$`)) > 0)), page.asked);
  await page.click(".job summary");
  const differs = await page.$$eval(".job tr.differs th", (heads) => heads.map((head) => head.textContent));
  ok("what the jobs differ in is told first", differs.includes("weights-sha256") && differs.includes("epochs") && !differs.includes("size"), differs);
  await page.context().close();
}

async function checkLayer() {
  const page = await open(`#${last}`);
  await page.waitForSelector("#grid a");
  same("filters stand by their loss in the first atlas, those it lacks last", await gridOrder(page), sorted((f) => lossOf(0, f)));
  ok("it takes a file of thumbnails of each atlas, and no picture", await becomes(() => askedFor(page, /sheet\.jpg$/) === atlases.length) &&
    askedFor(page, /\.png$/) === 0, page.asked);
  const places = await page.$$eval("#grid a", (links) => links.map((link) => [Number(link.dataset.filter), [...link.children].map((side) => side.textContent)]));
  same("every filter has a place for each atlas, empty where it is dead or not there", places,
    places.map(([filter]) => [filter, atlases.map((_, a) => ({ undefined: "not there", object: "dead", number: "" })[typeof lossOf(a, filter)])]));
  for (const [value, what, wanted] of [["loss1", "by the loss in the second", sorted((f) => lossOf(1, f))], ["difference", "by difference", sorted(difference)],
    ["kernels", "by the likeness of the kernels, the least alike first", sorted((f) => kernels[f], 1)], ["index", "by number", shownFilters]]) {
    await page.check(`input[value="${value}"]`, { force: true });
    same(`sorted ${what}`, await gridOrder(page), wanted);
  }
  await page.check('input[value="difference"]', { force: true });
  await page.fill("#low", "240");
  same("the range is about what they are sorted by", await gridOrder(page), sorted(difference).filter((f) => difference(f) === Math.max(...shownFilters.map(difference))));
  await page.check('input[value="loss"]', { force: true });
  same("and begins anew with something else", await gridOrder(page), sorted((f) => lossOf(0, f)));
  const [own, other] = await page.$$eval(`#grid a[data-filter="${everywhere}"] .picture`, ([a, b]) => [a, b].map((side) => getComputedStyle(side).backgroundImage));
  ok("thumbnails side by side are of different atlases", own !== other && own.includes("sheet.jpg") && other.includes("sheet.jpg"), [own, other]);
  ok("a cell is named for those who don't see it", (await page.getAttribute("#grid a", "aria-label")).includes(`${atlases[0].name} loss ${shownLoss(lossOf(0, sorted((f) => lossOf(0, f))[0]))}`));
  await page.check("#second-row input");
  ok("images stand below the atlas that has them alone", await becomes(async () => await page.locator("#grid .example img").count() > 0) &&
    await page.$$eval("#grid .second", (rows) => rows.every((row) => row.children.length > 1 && !row.children[0].querySelector("img"))));
  await page.context().close();
}

async function checkPicture() {
  const order = sorted((f) => lossOf(0, f)), wanted = everywhere;
  const page = await open(`#${last}/${wanted}`);
  await page.waitForSelector("#picture[open]");
  const pictures = () => page.$$eval(".frame .large", (images) => images.map((image) => (image.hidden ? null : image.src)));
  const file = (a, filter) => addressOf(atlases[a].folder).replace("index.html", `filters/${last}/${String(filter).padStart(4, "0")}.png`);
  same("a filter opens with the picture of each atlas", await pictures(), atlases.map((_, a) => file(a, wanted)));
  ok("they can be seen", await becomes(() => page.$$eval(".frame .large", (images) => images.every((image) => image.naturalWidth > 0))));
  const words = await page.$$eval(".frame .whose", (all) => all.map((whose) => [...whose.children].map((child) => child.textContent)));
  same("with its name and loss", words.map(([name, loss]) => [name, loss]), atlases.map(({ name }, a) => [name, `loss ${shownLoss(lossOf(a, wanted))}`]));
  const facts = await page.textContent("#facts");
  ok("and how alike the kernels are", facts.includes("cosine") && Math.abs(Number(/cosine (-?[\d.]+)/.exec(facts)[1]) - kernels[wanted]) < 1e-3, facts);
  same("the name leads to the filter in its own atlas", await page.getAttribute(".frame .whose a", "href").then((href) => new URL(href, addressOf(site)).href),
    `${addressOf(atlases[0].folder)}#${last}/${wanted}`);
  ok("images stand below the picture of their atlas", await becomes(() => page.$$eval(".frame .examples", (all) => all[0].hidden && !all[1].hidden)));
  const before = page.url(), at = order.indexOf(wanted);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((text) => document.getElementById("picture-title").textContent === text, `Filter ${order[at + 1]}`);
  ok("arrows go on", page.url() !== before);
  const dead = order.find((f) => atlases.some((_, a) => lossOf(a, f) === null));
  await page.goto(`${addressOf(site)}#${last}/${dead}`);
  await becomes(async () => await page.textContent("#picture-title") === `Filter ${dead}`);
  same("where a filter is dead there is no picture", (await pictures()).map((source) => source === null), atlases.map((_, a) => typeof lossOf(a, dead) !== "number"));
  await page.context().close();
}

async function checkNarrow() {
  for (const hash of ["", `#${last}`, `#${last}/${shownFilters[0]}`]) {
    const page = await open(hash, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await page.waitForTimeout(300);
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, document.getElementById("picture").scrollWidth]);
    ok(`360 pixels wide: nothing of a gallery beyond the edge (${hash || "overview"})`, widths.every((width) => width <= 360), widths);
    await page.context().close();
  }
}

// An atlas that is not where it was.
async function checkMissing() {
  const { folder, name } = atlases[1];
  renameSync(folder, `${folder}-elsewhere`);
  const page = await open();
  await page.waitForSelector("#layers a");
  renameSync(`${folder}-elsewhere`, folder);
  ok("an atlas that was moved away is named, with what to do", await page.$eval("#atlases .missing", (item) => item.textContent).then((text) => text.startsWith(name)) &&
    (await page.textContent("#view-overview")).includes("run filteratlas gallery again"));
  ok("the others are shown", await page.locator("#layers a").count() === atlases[0].layers.size);
  await page.context().close();
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !/ERR_FILE_NOT_FOUND/.test(text)));
}

await runChecks(executablePath, [checkOverview, checkLayer, checkPicture, checkNarrow, checkMissing]);
