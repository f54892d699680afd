/* The data: atlas.js and every LAYER/sheet.js call in here, for a browser loads scripts from the disk, but not JSON. */
"use strict";

const atlas = { layers: [], job: new Map() };

const byId = (id) => document.getElementById(id);

/* element("p", { className: "lead" }, "text", child, ...) */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function loadScript(source) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: source });
    script.onload = resolve;
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

function makeLayer({ name, filters, examples }, number) {
  const live = filters.filter((f) => !f.dead).sort(byLoss);
  live.forEach((f, i) => { f.rank = i + 1; });
  const losses = live.map((f) => f.loss).filter((loss) => loss !== null);
  return {
    name, number, live, filters,
    hasExamples: Boolean(examples), examples: null, /* a promise, once it was asked for */
    dead: filters.filter((f) => f.dead),
    byNumber: new Map(filters.map((f) => [f.filter, f])),
    block: (/^(.*)_conv\d+$/.exec(name) || [, name])[1],
    high: losses.length ? losses[0] : null,
    low: losses.length ? losses[losses.length - 1] : null,
    sheet: null, /* a promise, once it was asked for */
  };
}

function describeCounts(live, dead) {
  return `${formatCount(live)} live, ${formatCount(dead)} dead`;
}

function describeRange(layer) {
  if (layer.low === null) return "no picture";
  const low = formatLoss(layer.low), high = formatLoss(layer.high);
  return low === high ? `loss ${low}` : `loss ${low} to ${high}`;
}

/* "fourier, rate 0.05": how the pictures were drawn. A job that names no recipe is of Keras's. Reals have 17 digits. */
function describeRecipe() {
  const rate = atlas.job.get("rate");
  return (atlas.job.get("recipe") ?? "keras") + (rate ? `, rate ${Number(Number(rate).toPrecision(6))}` : "");
}

const layerHash = (layer) => `#${encodeURIComponent(layer.name)}`;
const filterHash = (layer, filter) => `${layerHash(layer)}/${filter.filter}`;
const layerFolder = (layer) => `page/${encodeURIComponent(layer.name)}`;
const pictureFile = (layer, filter) => `filters/${encodeURIComponent(layer.name)}/${String(filter.filter).padStart(4, "0")}.png`;

/* In url() of a custom property a relative address would be taken as relative to the style sheet. */
const cssAddress = (address) => `url("${new URL(address, document.baseURI).href}")`;

/* The geometry of the layer's thumbnails and tiles, or null where there are none (yet): then the stored pictures do. */
const sheetsLoaded = new Map();
function loadSheet(layer) {
  layer.sheet ??= !layer.live.length ? Promise.resolve(null) : loadScript(`${layerFolder(layer)}/sheet.js`)
    .then(() => sheetsLoaded.get(layer.name) ?? null, () => null);
  return layer.sheet;
}

window.filteratlas = {
  atlas(data) {
    atlas.digest = data.digest;
    atlas.viewer = data.viewer;
    atlas.program = data.program;
    atlas.job = new Map(data.job);
    atlas.network = atlas.job.get("network") ?? "Filter atlas";
    atlas.layers = data.layers.map(makeLayer);
    const size = /^(\d+)x(\d+)$/.exec(atlas.job.get("size") ?? "");
    atlas.aspect = size ? size[1] / size[2] : 1;
    start();
  },
  sheet(name, data) {
    data.place = new Map(data.filters.map((filter, i) => [filter, i]));
    sheetsLoaded.set(name, data);
  },
  examples(name, data) { examplesLoaded.set(name, data); },
};
