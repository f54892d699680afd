/* The data: atlas.js, LAYER/sheet.js and examples/LAYER.js call in here, for a browser loads scripts from the disk, but not JSON. */
"use strict";

/* What is shown: one atlas, or several side by side. An atlas has layers of its own, called parts here; layers are those of
 * all atlases, matched by name (2-layers.js). */
const site = { atlases: [], layers: [], kernels: [], several: false, viewer: false, title: "" };

const byId = (id) => document.getElementById(id);

/* element("p", { className: "lead" }, "text", child, ...) */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/* A promise of what the script hands over, null if nothing. */
const delivered = new Map();
const deliver = (data) => delivered.set(document.currentScript.getAttribute("src"), data);
function loadScript(source) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: source });
    script.onload = () => resolve(delivered.get(source) ?? null);
    script.onerror = () => reject(new Error(`${source} cannot be loaded`));
    document.head.append(script);
  });
}

const formatCount = (count) => count.toLocaleString("en");

/* Four digits are what one compares losses by; an infinite one comes as null. */
function formatLoss(loss) {
  return loss === null ? "not finite" : loss >= 1000 ? formatCount(Math.round(loss)) : String(Number(loss.toPrecision(4)));
}

const byLoss = (a, b) => b.loss - a.loss || a.filter - b.filter;

function makePart(atlas, { name, filters, examples }) {
  const live = filters.filter((f) => !f.dead).sort(byLoss);
  live.forEach((f, i) => { f.rank = i + 1; });
  const losses = live.map((f) => f.loss).filter((loss) => loss !== null);
  return {
    atlas, name, live, filters,
    hasExamples: Boolean(examples), examples: null, /* a promise, once it was asked for */
    dead: filters.filter((f) => f.dead),
    byNumber: new Map(filters.map((f) => [f.filter, f])),
    high: losses.length ? losses[0] : null,
    low: losses.length ? losses[losses.length - 1] : null,
    sheet: null, /* a promise, once it was asked for */
  };
}

/* `folder`: where it lies, as an address that ends with a slash; "" is here. An atlas without data could not be loaded. */
function makeAtlas(data, folder, name) {
  const atlas = { name, folder, missing: !data, digest: data?.digest ?? "", program: data?.program ?? "", job: new Map(data?.job) };
  const size = /^(\d+)x(\d+)$/.exec(atlas.job.get("size") ?? "");
  atlas.network = atlas.job.get("network") ?? "Filter atlas";
  atlas.aspect = size ? size[1] / size[2] : 1;
  atlas.parts = (data?.layers ?? []).map((layer) => makePart(atlas, layer));
  return atlas;
}

function describeCounts(live, dead) {
  return `${formatCount(live)} live, ${formatCount(dead)} dead`;
}

function describeRange(part) {
  if (part.low === null) return "no picture";
  const low = formatLoss(part.low), high = formatLoss(part.high);
  return low === high ? `loss ${low}` : `loss ${low} to ${high}`;
}

/* "fourier, rate 0.05": how the pictures were drawn. A job that names no recipe is of Keras's. Reals have 17 digits. */
function describeRecipe(atlas) {
  const rate = atlas.job.get("rate");
  return (atlas.job.get("recipe") ?? "keras") + (rate ? `, rate ${Number(Number(rate).toPrecision(6))}` : "");
}

const layerHash = (layer) => `#${encodeURIComponent(layer.name)}`;
const filterHash = (layer, entry) => `${layerHash(layer)}/${entry.filter}`;
const layerFolder = (part) => `${part.atlas.folder}page/${encodeURIComponent(part.name)}`;
const pictureFile = (part, filter) =>
  `${part.atlas.folder}filters/${encodeURIComponent(part.name)}/${String(filter.filter).padStart(4, "0")}.png`;

/* In url() of a custom property a relative address would be taken as relative to the style sheet. */
const cssAddress = (address) => `url("${new URL(address, document.baseURI).href}")`;

/* The geometry of the part's thumbnails and tiles, or null where there are none (yet): then the stored pictures do. */
function loadSheet(part) {
  part.sheet ??= !part.live.length ? Promise.resolve(null) : loadScript(`${layerFolder(part)}/sheet.js`).then((sheet) => {
    if (sheet) sheet.place = new Map(sheet.filters.map((filter, i) => [filter, i]));
    return sheet;
  }, () => null);
  return part.sheet;
}

/* Several atlases, each from its own folder. */
async function startGallery({ atlases, kernels }) {
  const load = ({ name, folder }) => loadScript(`${folder}page/atlas.js`).catch(() => null).then((data) => makeAtlas(data, folder, name));
  Object.assign(site, { atlases: await Promise.all(atlases.map(load)), kernels, several: true });
  site.title = site.atlases.map((atlas) => atlas.name).join(" · ");
  start();
}

window.filteratlas = {
  atlas(data) {
    if (document.currentScript.getAttribute("src") !== "page/atlas.js") return deliver(data); /* one of a gallery's */
    Object.assign(site, { atlases: [makeAtlas(data, "", "")], viewer: data.viewer });
    site.title = site.atlases[0].network;
    start();
  },
  gallery: startGallery,
  sheet(name, data) { deliver(data); },
  examples(name, data) { deliver(data); },
};
