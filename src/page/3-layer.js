/* One layer: a grid of thumbnails, sorted and filtered. */

const SLIDER_STEPS = 240, BINS = 60;

const grid = byId("grid");
const shown = { layer: null, filters: [], cells: new Map(), current: null };

function makeCell(layer, filter, sheet) {
  const link = element("a", { href: filterHash(layer, filter), tabIndex: -1 });
  const loss = formatLoss(filter.loss);
  link.setAttribute("aria-label", `Filter ${filter.filter}, loss ${loss}, rank ${filter.rank}` + (filter.mark ? `, ${filter.mark}` : ""));
  link.dataset.caption = `${filter.filter} · ${loss}`;
  link.dataset.filter = filter.filter;
  const place = sheet?.place.get(filter.filter);
  if (place === undefined) {
    link.append(element("img", { loading: "lazy", decoding: "async", alt: "", src: pictureFile(layer, filter) }));
  } else {
    const percent = (at, count) => `${count > 1 ? 100 * at / (count - 1) : 0}%`;
    link.className = "thumbnail";
    link.style.backgroundPosition =
      `${percent(place % sheet.columns, sheet.columns)} ${percent(Math.floor(place / sheet.columns), sheet.rows)}`;
  }
  return element("li", {}, link);
}

/* The losses between which the sliders stand; at their ends exactly the least and the highest. */
function sliderLoss(slider) {
  const { low, high } = shown.layer, at = Number(slider.value);
  return at === 0 ? low : at === SLIDER_STEPS ? high : low + (high - low) * at / SLIDER_STEPS;
}

function drawHistogram() {
  const { live, low, high } = shown.layer, counts = new Array(BINS).fill(0);
  for (const f of live)
    if (f.loss !== null) counts[Math.min(BINS - 1, Math.floor(BINS * (f.loss - low) / (high - low)))]++;
  const most = Math.max(...counts), from = BINS * byId("low").value / SLIDER_STEPS, to = BINS * byId("high").value / SLIDER_STEPS;
  byId("histogram").replaceChildren(...counts.map((count, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect"), height = 20 * Math.sqrt(count / most);
    for (const [name, value] of Object.entries({ x: i + .1, width: .8, y: 20 - height, height })) bar.setAttribute(name, value);
    if (i + .5 >= from && i + .5 <= to) bar.setAttribute("class", "in");
    return bar;
  }));
}

function setCurrent(filter) {
  shown.cells.get(shown.current)?.firstChild.setAttribute("tabindex", "-1");
  shown.current = filter;
  shown.cells.get(filter)?.firstChild.setAttribute("tabindex", "0");
}

function selectFilters() {
  const low = sliderLoss(byId("low")), high = sliderLoss(byId("high"));
  const chosen = shown.layer.live.filter((f) => f.loss === null || (f.loss >= low && f.loss <= high));
  return byId("tools").elements.sort.value === "index" ? chosen.sort((a, b) => a.filter - b.filter) : chosen;
}

function updateGrid() {
  const layer = shown.layer;
  shown.filters = selectFilters();
  grid.replaceChildren(...shown.filters.map((f) => shown.cells.get(f.filter)));
  if (!shown.filters.some((f) => f.filter === shown.current)) setCurrent(shown.filters[0]?.filter);
  byId("shown").textContent = `${formatCount(shown.filters.length)} of ${formatCount(layer.live.length)} shown`;
  for (const id of ["low", "high"]) {
    const text = formatLoss(sliderLoss(byId(id)));
    byId(`${id}-text`).textContent = text;
    byId(id).setAttribute("aria-valuetext", text);
  }
  byId("low").style.zIndex = byId("low").value > SLIDER_STEPS / 2 ? 2 : 1; /* or it could not be taken back */
  if (layer.low < layer.high) drawHistogram();
}

function makeTurn(layer) {
  const before = atlas.layers[layer.number - 1], after = atlas.layers[layer.number + 1], turn = byId("turn");
  turn.replaceChildren();
  if (before) turn.append(element("a", { href: layerHash(before) }, `‹ ${before.name}`));
  if (after) turn.append(element("a", { href: layerHash(after), className: "next" }, `${after.name} ›`));
}

async function showLayer(layer) {
  if (shown.layer === layer) return;
  const sheet = await loadSheet(layer);
  Object.assign(shown, { layer, current: null });
  byId("layer-title").textContent = layer.name;
  byId("layer-lead").textContent = `${describeCounts(layer.live.length, layer.dead.length)}, ${describeRange(layer)}`;
  byId("low").value = 0;
  byId("high").value = SLIDER_STEPS;
  byId("tools").hidden = layer.live.length < 2 && !layer.hasExamples;
  byId("tools").querySelector(".range").hidden = !(layer.low < layer.high);
  byId("dead").hidden = !layer.dead.length;
  byId("dead").open = !layer.live.length;
  byId("dead").firstChild.textContent = `${formatCount(layer.dead.length)} dead filter${layer.dead.length === 1 ? "" : "s"}`;
  byId("dead").lastChild.replaceChildren("No noise woke them: ", ...layer.dead.flatMap((f, i) =>
    [i ? ", " : "", element("a", { href: filterHash(layer, f) }, String(f.filter))]));
  if (sheet) {
    grid.style.setProperty("--sheet", cssAddress(`${layerFolder(layer)}/sheet.jpg`));
    grid.style.setProperty("--sheet-size", `${100 * sheet.columns}% ${100 * sheet.rows}%`);
  }
  shown.cells = new Map(layer.live.map((f) => [f.filter, makeCell(layer, f, sheet)]));
  makeTurn(layer);
  byId("second-row").hidden = !layer.hasExamples;
  updateGrid();
  await updateSecondRow();
}

function focusCell(filter) {
  setCurrent(filter);
  const link = shown.cells.get(filter)?.firstChild;
  link?.focus({ preventScroll: true });
  link?.scrollIntoView({ block: "nearest" });
}

/* How far an arrow goes in the grid as it is laid out now. */
function stepOf(key) {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const rows = Math.max(1, Math.floor(innerHeight / (grid.firstChild?.offsetHeight || innerHeight)) - 1);
  return { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns,
    PageDown: columns * rows, PageUp: -columns * rows, Home: -Infinity, End: Infinity }[key];
}

grid.addEventListener("keydown", (event) => {
  const step = stepOf(event.key), last = shown.filters.length - 1;
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const at = shown.filters.findIndex((f) => f.filter === shown.current);
  const to = at + step;
  if (Math.abs(step) > 1 && Number.isFinite(step) && event.key.startsWith("Arrow") && (to < 0 || to > last)) return;
  focusCell(shown.filters[Math.max(0, Math.min(last, to))].filter);
});
grid.addEventListener("focusin", (event) => setCurrent(Number(event.target.dataset.filter)));

byId("tools").addEventListener("input", (event) => {
  const low = byId("low"), high = byId("high");
  if (event.target.name === "examples") updateSecondRow();
  if (event.target === low) low.value = Math.min(low.value, high.value);
  if (event.target === high) high.value = Math.max(low.value, high.value);
  updateGrid();
});
byId("tools").addEventListener("submit", (event) => event.preventDefault());
