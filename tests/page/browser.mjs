// The checks of page.sh, as TAP lines. Usage: node browser.mjs CHROMIUM ATLAS
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { addressOf, askedFor, becomes, ok, openPage, runChecks, same } from "./harness.mjs";

const [executablePath, folder] = process.argv.slice(2);
const address = (atlas = folder) => addressOf(atlas);

// What the program says of the atlas: layer -> filters, as in losses.csv.
const layers = new Map();
for (const line of readFileSync(`${folder}/losses.csv`, "utf8").trim().split("\n").slice(1)) {
  const [layer, filter, status, loss] = line.split(",");
  if (!layers.has(layer)) layers.set(layer, { live: [], dead: [] });
  layers.get(layer)[status].push({ filter: Number(filter), loss: Number(loss) });
}
const byLoss = (name) => [...layers.get(name).live].sort((a, b) => b.loss - a.loss || a.filter - b.filter);
const numbers = (filters) => filters.map((f) => f.filter);
const last = "block5_conv3", order = byLoss(last);
const shownLoss = (loss) => String(Number(loss.toPrecision(4)));
const file = (filter) => `${folder}/filters/${last}/${String(filter).padStart(4, "0")}.png`;

const open = (hash = "", options = {}, atlas = folder) => openPage(atlas, hash, options);
const gridOrder = (page) => page.$$eval("#grid a", (links) => links.map((link) => Number(link.dataset.filter)));
const hashOf = (page) => page.evaluate(() => location.hash);
const hashIs = (page, hash) => page.waitForFunction((wanted) => location.hash === wanted, hash);
const shows = async (page, filter) => {
  await page.waitForFunction((wanted) => document.getElementById("picture-title").textContent === wanted, `Filter ${filter}`);
  await page.waitForFunction(() => document.getElementById("large").complete);
};

// Mean difference of two PNG files in levels of 255, both brought to 24 x 24 pixels.
async function difference(page, a, b) {
  return page.evaluate(async (sources) => {
    const [x, y] = await Promise.all(sources.map(async (source) => {
      const image = new Image();
      image.src = `data:image/png;base64,${source}`;
      await image.decode();
      const context = new OffscreenCanvas(24, 24).getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(image, 0, 0, 24, 24);
      return context.getImageData(0, 0, 24, 24).data;
    }));
    return x.reduce((sum, value, i) => sum + Math.abs(value - y[i]), 0) / x.length;
  }, [a.toString("base64"), b.toString("base64")]);
}

async function checkOverview() {
  const page = await open("", { viewport: { width: 1280, height: 400 } });
  const rows = await page.$$eval("#layers li", (items) => items.map((item) =>
    [item.querySelector("h2").textContent, item.querySelector(".counts").textContent]));
  same("the overview has every layer with its counts of losses.csv", rows,
    [...layers].map(([name, { live, dead }]) => [name, `${live.length} live, ${dead.length} dead`]));
  const text = await page.$eval(`#layers a[href="#${last}"]`, (link) => link.textContent);
  ok("a layer tells its range of losses", text.includes(`loss ${shownLoss(order.at(-1).loss)} to ${shownLoss(order[0].loss)}`), text);
  ok("one heading of the first level, one for every layer",
    await page.$$eval("h1", (all) => all.filter((h) => h.checkVisibility()).length) === 1 && rows.length === layers.size);
  await page.waitForFunction(() => document.querySelector(".cover i")?.parentNode.closest("li") &&
    getComputedStyle(document.querySelector(".cover i")).backgroundImage !== "none");
  await page.waitForTimeout(200);
  const before = askedFor(page, /cover\.jpg$/);
  ok("only covers near the window are loaded, and nothing else", before > 0 && before < layers.size - 3 &&
    askedFor(page, /sheet|tiles|\.png$/) === 0, page.asked);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForFunction((name) => getComputedStyle(document.querySelector(`#layers a[href="#${name}"] .cover i`)).backgroundImage !== "none", last);
  ok("scrolling loads the others", askedFor(page, /cover\.jpg$/) > before);
  await page.click(`#layers a[href="#${last}"]`);
  await page.waitForSelector("#view-layer:not([hidden])");
  ok("a click opens the layer", await page.textContent("#layer-title") === last && await hashOf(page) === `#${last}`);
  ok("the title says where one is", await becomes(async () => (await page.title()).startsWith(last)));
  await page.goBack();
  await page.waitForSelector("#view-overview:not([hidden])");
  ok("the way back leads to where one was", await becomes(() => page.evaluate(() => scrollY > 100)));
  await page.context().close();
}

async function checkLayer() {
  const page = await open(`#${last}`);
  await page.waitForSelector("#grid a");
  same("the grid shows every live filter, highest loss first", await gridOrder(page), numbers(order));
  ok("it takes one file of thumbnails", await becomes(() => askedFor(page, /sheet\.jpg$/) > 0) &&
    askedFor(page, /sheet\.jpg$/) === 1 && askedFor(page, /\.png$/) === 0, page.asked);
  const [first, middle] = [order[3].filter, order[Math.floor(order.length * .6)].filter];
  for (const filter of [first, middle]) {
    const cell = page.locator(`#grid a[data-filter="${filter}"]`);
    await cell.scrollIntoViewIfNeeded();
    await page.mouse.move(0, 0);
    let own, other;
    ok("a thumbnail shows its filter's picture", await becomes(async () => {
      const thumbnail = await cell.screenshot();
      own = await difference(page, thumbnail, readFileSync(file(filter)));
      other = await difference(page, thumbnail, readFileSync(file(order[5].filter)));
      return own < 12 && other > 2 * own;
    }), { filter, own, other });
  }
  ok("a thumbnail is named for those who don't see it", await page.getAttribute(`#grid a[data-filter="${first}"]`, "aria-label") ===
    `Filter ${first}, loss ${shownLoss(order[3].loss)}, rank 4`);
  await page.check('input[value="index"]', { force: true });
  same("sorted by number", await gridOrder(page), numbers(order).sort((a, b) => a - b));
  await page.check('input[value="loss"]', { force: true });
  const range = order[0].loss - order.at(-1).loss, least = order.at(-1).loss + range / 4, most = order.at(-1).loss + range / 2;
  await page.fill("#low", "60");
  await page.fill("#high", "120");
  const chosen = order.filter((f) => f.loss >= least && f.loss <= most);
  same("filtered by loss", await gridOrder(page), numbers(chosen));
  same("how many are shown is said, also to a screen reader", [await page.textContent("#shown"), await page.getAttribute("#shown", "aria-live")],
    [`${chosen.length} of ${order.length} shown`, "polite"]);
  await page.fill("#high", "10");
  ok("the range never turns around", await page.inputValue("#high") === "60");
  await page.fill("#low", "0");
  await page.fill("#high", "240");
  same("and back: the highest and the least loss are in", await gridOrder(page), numbers(order));
  const dead = await page.textContent("#dead");
  ok("dead filters are listed", numbers(layers.get(last).dead).every((f) => new RegExp(`\\b${f}\\b`).test(dead)), dead);
  await page.context().close();

  const none = await open("#block1_conv1");
  await none.waitForSelector("#view-layer:not([hidden])");
  ok("a layer without a live filter says so", (await none.textContent("#layer-lead")).startsWith("0 live, 1 dead") &&
    await none.locator("#grid a").count() === 0);
  await none.context().close();
}

async function checkPicture() {
  const page = await open(`#${last}`);
  await page.click(`#grid a[data-filter="${order[2].filter}"]`);
  await shows(page, order[2].filter);
  const facts = await page.textContent("#facts");
  ok("a click opens the stored picture with its facts", await page.$eval("#large", (image) => image.naturalWidth) === 128 &&
    [last, shownLoss(order[2].loss), `3 of ${order.length}`].every((fact) => facts.includes(fact)), facts);
  ok("the address names the filter", await hashOf(page) === `#${last}/${order[2].filter}`);
  ok("the picture has a text for those who don't see it", (await page.getAttribute("#large", "alt")).includes(`filter ${order[2].filter} of ${last}`));
  await page.keyboard.press("ArrowRight");
  await shows(page, order[3].filter);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await shows(page, order[1].filter);
  await page.click("#next");
  await shows(page, order[2].filter);
  ok("arrows and buttons go on and back", await hashOf(page) === `#${last}/${order[2].filter}`);
  await page.click("#previous");
  await page.click("#previous");
  await shows(page, order[0].filter);
  ok("at the first there is none before", await page.isDisabled("#previous"));
  await page.keyboard.press("Escape");
  await hashIs(page, `#${last}`);
  ok("Escape closes; the filter seen last has the focus", await becomes(async () =>
    await page.evaluate(() => document.activeElement.dataset.filter) === String(order[0].filter) && !await page.isVisible("#large")));
  await page.check('input[value="index"]', { force: true });
  const byNumber = numbers(order).sort((a, b) => a - b);
  await page.click(`#grid a[data-filter="${byNumber[4]}"]`);
  await shows(page, byNumber[4]);
  await page.keyboard.press("ArrowRight");
  await shows(page, byNumber[5]);
  ok("arrows follow the order of the grid", true);
  await page.goBack();
  await hashIs(page, `#${last}`);
  ok("the way back closes too", await becomes(async () => !await page.isVisible("#large")));
  await page.context().close();

  const linked = await open(`#${last}/${order[7].filter}`);
  await shows(linked, order[7].filter);
  ok("a link opens its picture", await linked.isVisible("#large"));
  await linked.click("#close");
  await hashIs(linked, `#${last}`);
  ok("closed, it is in its layer", await becomes(() => linked.isVisible("#grid")));
  const dead = layers.get(last).dead[0].filter;
  await linked.goto(`${address()}#${last}/${dead}`);
  await linked.waitForSelector("#no-picture:not([hidden])");
  ok("the link of a dead filter says that it is dead", !await linked.isVisible("#large"));
  await linked.context().close();
}

async function checkKeyboard() {
  const page = await open(`#${last}`);
  await page.waitForSelector("#grid a");
  const focused = () => page.evaluate(() => Number(document.activeElement.dataset.filter));
  let steps = 0;
  while (Number.isNaN(await focused()) && steps++ < 12) await page.keyboard.press("Tab");
  same("Tab reaches the grid, its first picture", await focused(), order[0].filter);
  const columns = await page.$eval("#grid", (grid) => getComputedStyle(grid).gridTemplateColumns.split(" ").length);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  same("arrows go down and to the right", await focused(), order[columns + 1].filter);
  await page.keyboard.press("End");
  const atEnd = await focused();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  same("End and Home", [atEnd, await focused()], [order.at(-1).filter, order[1].filter]);
  await page.keyboard.press("Enter");
  await shows(page, order[1].filter);
  await page.keyboard.press("Escape");
  await hashIs(page, `#${last}`);
  ok("Enter opens, Escape returns", await becomes(async () => await focused() === order[1].filter), await focused());
  await page.keyboard.press("Tab");
  ok("the grid is one stop for Tab", Number.isNaN(await focused()));
  await page.context().close();
}

// The least contrast of text to what is behind it (WCAG 2, 1.4.3), of all texts that are to be seen.
const leastContrast = (page) => page.evaluate(() => {
  const levels = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = levels(getComputedStyle(e).backgroundColor);
      if (getComputedStyle(e).backgroundColor.startsWith("rgb") && (color.length < 4 || color[3] > .8)) return color;
    }
    return levels(getComputedStyle(document.body).backgroundColor);
  };
  let least = { ratio: 21 };
  for (const element of document.querySelectorAll("main *, header *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest(".skip, noscript")) continue;
    const [a, b] = [light(levels(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < least.ratio) least = { ratio, text: element.textContent.slice(0, 40) };
  }
  return least;
});

async function checkLooks() {
  const grounds = [];
  for (const colorScheme of ["light", "dark"]) {
    const page = await open("", { colorScheme });
    grounds.push((await page.$eval("body", (body) => getComputedStyle(body).backgroundColor)).match(/\d+/)[0]);
    const overview = await leastContrast(page);
    await page.goto(`${address()}#${last}`);
    await page.waitForSelector("#grid a");
    const layer = await leastContrast(page);
    ok(`${colorScheme}: all text is well readable`, overview.ratio >= 4.5 && layer.ratio >= 4.5, overview, layer);
    await page.context().close();
  }
  ok("light and dark follow the system", grounds[0] > 200 && grounds[1] < 50, grounds);

  for (const hash of ["", `#${last}`, `#${last}/${order[0].filter}`, "#canvas"]) {
    const page = await open(hash, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await page.waitForTimeout(300);
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, document.getElementById("picture").scrollWidth, innerWidth]);
    ok(`360 pixels wide: nothing beyond the edge (${hash || "overview"})`, widths.every((width) => width <= 360), widths);
    await page.context().close();
  }
}

// The middle of a filter's picture on the canvas, in pixels of the window, found as a person does: by the hint under the pointer.
async function findOnCanvas(page, wanted) {
  const box = await page.locator("#stage canvas").first().boundingBox();
  for (let y = box.y + 100; y < box.y + box.height; y += 18)
    for (let x = box.x; x < box.x + box.width - 100; x += 18) {
      await page.mouse.move(x, y);
      if ((await page.textContent("#hint")).startsWith(wanted)) return { x, y };
    }
  return null;
}

async function checkCanvas() {
  const page = await open();
  await page.click("#canvas-link");
  await page.waitForSelector("#stage canvas");
  const live = [...layers.values()].filter(({ live }) => live.length).length;
  await becomes(() => askedFor(page, /tiles\//) >= live);
  await page.waitForTimeout(500); // more than there should be would come now
  const tiles = askedFor(page, /tiles\//);
  ok("the canvas opens with a few tiles and no picture", tiles >= live && tiles <= 2 * live + 4 && askedFor(page, /\.png$/) === 0, page.asked);
  ok("every layer with a picture is labelled", await becomes(async () => await page.locator(".label").count() === live));
  const labelWidth = () => page.evaluate(() => document.querySelector(".label").getBoundingClientRect().width);
  const home = await labelWidth();
  const place = await findOnCanvas(page, `${last} · filter ${order[0].filter} · loss ${shownLoss(order[0].loss)}`);
  ok("the pointer tells which filter is below it", place !== null);
  await page.mouse.move(place.x, place.y);
  for (let i = 0; i < 6; i++) {
    await page.mouse.wheel(0, -400);
    await page.waitForTimeout(250);
  }
  ok("zooming in loads finer tiles, then the stored pictures", await becomes(() => askedFor(page, new RegExp(`${last}/tiles/1/`)) > 0 &&
    askedFor(page, /\.png$/) > 0), page.asked.filter((url) => /tiles|png/.test(url)));
  const pictures = [...layers.values()].reduce((sum, { live }) => sum + live.length, 0);
  ok("only those that came in sight", askedFor(page, /\.png$/) < pictures, [askedFor(page, /\.png$/), pictures]);
  let shot; // a PNG file of one colour has 200 bytes
  ok("there is something to see", await becomes(async () => (shot = await page.screenshot(
    { clip: { x: place.x - 30, y: place.y - 30, width: 60, height: 60 } })).length > 2000), shot?.length);
  ok("a click opens the picture", await becomes(async () => { // what takes the machine long counts as a drag, not as a click
    await page.mouse.click(place.x, place.y);
    await page.waitForTimeout(500);
    return await hashOf(page) === `#${last}/${order[0].filter}`;
  }));
  await shows(page, order[0].filter);
  await page.keyboard.press("Escape");
  await hashIs(page, "#canvas");
  ok("Escape returns to the canvas", await becomes(async () => !await page.isVisible("#large") && await page.isVisible("#stage")));
  const near = await labelWidth();
  await page.click("#zoom-all");
  ok("a button shows all again", near > 2 * home && await becomes(async () => Math.abs(await labelWidth() - home) < 2),
    { home, near, now: await labelWidth() });
  await page.context().close();
}

async function checkOthers() {
  const copy = `${folder}-without`;
  cpSync(folder, copy, { recursive: true });
  rmSync(`${copy}/page/openseadragon.min.js`, { force: true });
  writeFileSync(`${copy}/page/atlas.js`, readFileSync(`${copy}/page/atlas.js`, "utf8").replace('"viewer": true', '"viewer": false'));
  const without = await open("", {}, copy);
  await without.waitForSelector("#layers a");
  ok("built without the viewer, the page has no link to the canvas", !await without.isVisible("#canvas-link"));
  await without.context().close();

  // A filter that was drawn after its layer's thumbnails were made, by a render that has not ended yet.
  const sheet = `${copy}/page/${last}/sheet.js`, newest = order.at(-1).filter;
  writeFileSync(sheet, readFileSync(sheet, "utf8").replace(`,${newest}]`, "]"));
  const fresh = await open(`#${last}`, {}, copy);
  await fresh.locator(`#grid a[data-filter="${newest}"]`).scrollIntoViewIfNeeded();
  await fresh.waitForFunction((filter) => document.querySelector(`#grid a[data-filter="${filter}"] img`).naturalWidth > 0, newest);
  ok("without a thumbnail a filter is shown by its picture", askedFor(fresh, /\.png$/) === 1, fresh.asked);
  await fresh.context().close();

  const keys = await open(`#${last}`);
  await keys.waitForSelector("#grid a");
  await keys.keyboard.press("Tab");
  await keys.keyboard.press("Enter");
  ok("the first Tab leads past the header", await becomes(async () =>
    await keys.evaluate(() => document.activeElement.id) === "layer-title" && await hashOf(keys) === `#${last}`));
  await keys.context().close();
}

async function checkExamples() {
  const atlas = `${folder}-examples`, lists = new Map();
  for (const line of readFileSync(`${atlas}/examples.csv`, "utf8").trim().split("\n").slice(1)) {
    const [layer, filter, , image] = line.split(","), key = `${layer}/${filter}`;
    lists.set(key, [...lists.get(key) ?? [], image]);
  }
  const shownImages = (page) => page.$$eval("#examples img", (images) => images.map((image) => image.alt));
  const page = await open(`#${last}`, {}, atlas);
  await page.waitForSelector("#grid a");
  ok("no image is loaded before it is asked for", askedFor(page, /\/examples\//) === 0, page.asked);
  await page.check("#second-row input");
  await page.waitForSelector("#grid .example img");
  same("on request a layer shows every filter's best image", await page.$$eval("#grid li", (cells) => cells.map((cell) =>
    cell.querySelector(".example img")?.alt ?? "")), numbers(order).map((filter) => lists.get(`${last}/${filter}`)?.[0] ?? ""));
  await page.goto(`${address(atlas)}#${last}/${order[0].filter}`);
  await page.waitForSelector("#examples img");
  same("a picture shows its images, the best first", await shownImages(page), lists.get(`${last}/${order[0].filter}`));
  ok("they can be seen", await becomes(() => page.$$eval("#examples img", (images) => images.every((image) => image.naturalWidth > 0))));
  const dead = layers.get("block1_conv1").dead[0].filter;
  await page.goto(`${address(atlas)}#block1_conv1/${dead}`);
  await becomes(async () => await page.textContent("#picture-title") === `Filter ${dead}` && await page.isVisible("#examples"));
  await becomes(async () => JSON.stringify(await shownImages(page)) === JSON.stringify(lists.get(`block1_conv1/${dead}`) ?? []));
  same("a dead filter shows its images, too", await shownImages(page), lists.get(`block1_conv1/${dead}`) ?? []);
  ok("and how many it answered to", /^Excited by \d+ of 40 images/.test(await page.textContent("#examples p")));
  await page.context().close();
}

const hasViewer = readFileSync(`${folder}/page/atlas.js`, "utf8").includes('"viewer": true');
const skipCanvas = () => console.log("ok - page: the canvas # SKIP built without its viewer");
await runChecks(executablePath, [checkOverview, checkLayer, checkPicture, checkKeyboard, checkLooks, hasViewer ? checkCanvas : skipCanvas,
  checkOthers, checkExamples]);
