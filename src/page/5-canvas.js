/* The whole network on one canvas, with OpenSeadragon: tiles up to half the size, the stored pictures themselves beyond. */

let canvas = null; /* a promise of the viewer */

/* Blocks side by side where the window is wide, one below the other where it is tall, the layers of a block the other way
 * and in the middle: the network flows from the left to the right, or down. Fills in x, y and the label's height of every item. */
function layOut(items, wide) {
  const blocks = new Map();
  for (const item of items) blocks.set(item.layer.block, [...(blocks.get(item.layer.block) ?? []), item]);
  const widest = Math.max(...items.map((item) => item.width)), distance = widest / 8, label = widest / 12;
  const along = (item) => (wide ? item.width : item.height + label) + distance;
  const across = (item) => (wide ? item.height + label : item.width) + distance;
  let at = 0;
  for (const block of blocks.values()) {
    let middle = -block.reduce((sum, item) => sum + across(item), 0) / 2;
    for (const item of block) {
      [item.x, item.y, item.label] = wide ? [at, middle + label, label] : [middle, at + label, label];
      middle += across(item);
    }
    at += Math.max(...block.map(along));
  }
}

function makeTileSource({ part, sheet }) {
  const cellWidth = sheet.width + sheet.margin, cellHeight = sheet.height + sheet.margin;
  const width = sheet.columns * cellWidth - sheet.margin, height = sheet.rows * cellHeight - sheet.margin;
  const whole = (level) => level === sheet.levels;
  const source = new OpenSeadragon.TileSource({ width, height, tileSize: sheet.tile, minLevel: 0, maxLevel: sheet.levels });
  const { tileExists, getTileBounds } = source;
  return Object.assign(source, {
    getTileWidth: (level) => whole(level) ? cellWidth : sheet.tile,
    getTileHeight: (level) => whole(level) ? cellHeight : sheet.tile,
    getTileUrl: (level, x, y) => whole(level) ? pictureFile(part, { filter: sheet.filters[y * sheet.columns + x] })
      : `${layerFolder(part)}/tiles/${level}/${x}_${y}.jpg`,
    tileExists: (level, x, y) => tileExists.call(source, level, x, y) &&
      (!whole(level) || y * sheet.columns + x < sheet.filters.length),
    getTileBounds: (level, x, y, isSource) => {
      if (!whole(level)) return getTileBounds.call(source, level, x, y, isSource);
      if (isSource) return new OpenSeadragon.Rect(0, 0, sheet.width, sheet.height);
      return new OpenSeadragon.Rect(x * cellWidth / width, y * cellHeight / width, sheet.width / width, sheet.height / width);
    },
  });
}

/* The filter at a point of the viewport, or null. */
function filterAt(items, point) {
  for (const { layer, sheet, x, y, width, height } of items) {
    const column = Math.floor((point.x - x) / width * sheet.columns), row = Math.floor((point.y - y) / height * sheet.rows);
    if (column < 0 || column >= sheet.columns || row < 0 || row >= sheet.rows) continue;
    const filter = layer.byNumber.get(sheet.filters[row * sheet.columns + column]);
    return filter ? { layer, filter } : null;
  }
  return null;
}

function showHint(found) {
  byId("hint").textContent = found ? `${found.layer.name} · filter ${found.filter.filter} · ${describeLosses(found.filter)}` : "";
}

/* Small pictures as they ought to look. Averaging over many pixels takes the contrast from a picture and leaves grey, its mean: far away it is given back; and a
 * tile is drawn at up to half its size, which only the better smoothing does evenly. */
function refineSmall(viewer) {
  const pixels = viewer.viewport.deltaPixelsFromPoints(new OpenSeadragon.Point(1, 0), true).x; /* of a picture */
  const contrast = 1 + .5 * Math.max(0, Math.log2(100 / pixels));
  viewer.drawer.context.imageSmoothingQuality = "high";
  viewer.drawer.canvas.style.filter = contrast > 1 ? `contrast(${contrast.toFixed(2)})` : "";
}

function addControls(viewer, items) {
  const { viewport } = viewer, at = (pixel) => filterAt(items, viewport.pointFromPixel(pixel));
  const open = (found) => { if (found) location.hash = filterHash(found.layer, found.filter); };
  const zoom = (factor) => { viewport.zoomBy(factor); viewport.applyConstraints(); };
  byId("zoom-in").onclick = () => zoom(2);
  byId("zoom-out").onclick = () => zoom(.5);
  byId("zoom-all").onclick = () => viewport.goHome();
  viewer.addHandler("canvas-click", (event) => { if (event.quick) open(at(event.position)); });
  viewer.canvas.addEventListener("pointermove", (event) => {
    const box = viewer.canvas.getBoundingClientRect();
    const found = at(new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top));
    viewer.canvas.style.cursor = found ? "pointer" : "";
    showHint(found);
  });
  viewer.canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") open(filterAt(items, viewport.getCenter()));
    else viewer.addOnceHandler("animation-finish", () => showHint(filterAt(items, viewport.getCenter())));
  });
}

async function makeItems() {
  const sheets = await Promise.all(site.layers.map((layer) => loadSheet(layer.parts[0])));
  const items = site.layers.map((layer, l) => ({ layer, part: layer.parts[0], sheet: sheets[l] })).filter((item) => item.sheet);
  for (const item of items) {
    const { columns, rows, width, height, margin } = item.sheet, cell = width + margin;
    item.width = columns - margin / cell;
    item.height = (rows * (height + margin) - margin) / cell;
  }
  layOut(items, innerWidth > innerHeight);
  return items;
}

async function makeCanvas() {
  await loadScript("page/openseadragon.min.js");
  const items = await makeItems();
  const viewer = OpenSeadragon({
    element: byId("stage"), drawer: "canvas", crossOriginPolicy: false, /* pictures of the disk count as of another origin */
    showNavigationControl: false, gestureSettingsMouse: { clickToZoom: false }, gestureSettingsTouch: { clickToZoom: false },
    gestureSettingsPen: { clickToZoom: false }, visibilityRatio: .5, minZoomImageRatio: .7, maxZoomPixelRatio: 3,
    animationTime: .6, viewportMargins: { left: 24, top: 84, right: innerWidth > innerHeight ? 112 : 24, bottom: 24 }, imageLoaderLimit: 8, maxImageCacheCount: 120,
    tileSources: items.map((item) => ({ tileSource: makeTileSource(item), x: item.x, y: item.y, width: item.width })),
    overlays: items.map((item) => ({
      element: element("div", { className: "label" }, element("span", {}, item.layer.name)), checkResize: false,
      location: new OpenSeadragon.Rect(item.x, item.y - item.label, item.width, item.label),
    })),
  });
  viewer.canvas.setAttribute("role", "application");
  viewer.canvas.setAttribute("aria-label", "All pictures of all layers. Arrow keys move, plus and minus zoom, Enter opens " +
    "the picture in the middle. The view Layers lists the same pictures.");
  viewer.addOnceHandler("open", () => viewer.viewport.goHome(true));
  viewer.addHandler("update-viewport", () => refineSmall(viewer));
  addControls(viewer, items);
  return viewer;
}

function showCanvas() {
  canvas ??= makeCanvas().catch((error) => { byId("hint").textContent = error.message; });
}
