/* One layer: a grid of thumbnails, sorted and filtered. */

const SLIDER_STEPS = 240, BINS = 60;

const grid = byId("grid");
const shown = { layer: null, order: null, low: null, high: null, filters: [], cells: new Map(), current: null };

/* Makes an element the thumbnail of a filter in atlas a: a piece of its sheet, or the stored picture. */
function fillThumbnail(place, part, filter, sheet, a) {
  const at = sheet?.place.get(filter.filter);
  if (at === undefined) {
    place.append(element("img", { loading: "lazy", decoding: "async", alt: "", src: pictureFile(part, filter) }));
    return;
  }
  const percent = (at, count) => `${count > 1 ? 100 * at / (count - 1) : 0}%`;
  place.classList.add("thumbnail", `of-${a}`);
  place.style.backgroundPosition = `${percent(at % sheet.columns, sheet.columns)} ${percent(Math.floor(at / sheet.columns), sheet.rows)}`;
}

/* One picture, or its place. */
function makeSide(layer, entry, sheets, a) {
  const side = element("span", { className: "picture" }), filter = entry.parts[a];
  side.style.setProperty("--aspect", site.atlases[a].aspect);
  if (isLive(filter)) fillThumbnail(side, layer.parts[a], filter, sheets[a], a);
  else side.append(element("span", { className: "none" }, filter ? "dead" : "not there"));
  return side;
}

/* "loss 12.3" in one atlas; "keras loss 12.3, fourier dead" in several. */
function describeLosses(entry) {
  return entry.parts.map((filter, a) => (site.several ? `${site.atlases[a].name} ` : "") +
    (!filter ? "without" : filter.dead ? "dead" : `loss ${formatLoss(filter.loss)}`)).join(", ");
}

function makeCell(layer, entry, sheets) {
  const link = element("a", { href: filterHash(layer, entry), tabIndex: -1 }), [filter] = entry.parts;
  link.dataset.filter = entry.filter;
  if (site.several) {
    link.setAttribute("aria-label", `Filter ${entry.filter}, ${describeLosses(entry)}`);
    link.append(...site.atlases.map((_, a) => makeSide(layer, entry, sheets, a)));
    return element("li", {}, link, element("p", { className: "caption" }));
  }
  link.setAttribute("aria-label", `Filter ${entry.filter}, ${describeLosses(entry)}, rank ${filter.rank}` + (filter.mark ? `, ${filter.mark}` : ""));
  link.dataset.caption = `${entry.filter} · ${formatLoss(filter.loss)}`;
  fillThumbnail(link, layer.parts[0], filter, sheets[0], 0);
  return element("li", {}, link);
}

/* Below several pictures: the number, and what they are sorted by. */
function updateCaptions() {
  const { layer, order } = shown;
  for (const entry of site.several ? shown.filters : []) {
    const value = order.of(entry, layer);
    shown.cells.get(entry.filter).querySelector(".caption").replaceChildren(element("b", {}, String(entry.filter)), " ", value === null ? "–" : order.format(value));
  }
}

/* The values between which the sliders stand; at their ends exactly the least and the highest. */
function sliderValue(slider) {
  const { low, high } = shown, at = Number(slider.value);
  return at === 0 ? low : at === SLIDER_STEPS ? high : low + (high - low) * at / SLIDER_STEPS;
}

function drawHistogram() {
  const { layer, order, low, high } = shown, counts = new Array(BINS).fill(0);
  for (const value of layer.live.map((entry) => order.of(entry, layer)))
    if (value !== null) counts[Math.min(BINS - 1, Math.floor(BINS * (value - low) / (high - low)))]++;
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

/* What is without a value is shown as long as nobody asks for more than the least. */
function selectFilters() {
  const { layer, order } = shown, low = sliderValue(byId("low")), high = sliderValue(byId("high")), all = byId("low").value === "0";
  return sortEntries(layer.live.filter((entry) => {
    const value = order.of(entry, layer);
    return value === null ? all : value >= low && value <= high;
  }), layer, order);
}

/* The order that the person chose, and its range in this layer. */
function chooseOrder() {
  const order = site.orders.find(({ value }) => value === byId("tools").elements.sort.value), { layer } = shown;
  const values = layer.live.map((entry) => order.of(entry, layer)).filter((value) => value !== null);
  Object.assign(shown, { order, low: values.length ? Math.min(...values) : null, high: values.length ? Math.max(...values) : null });
  const range = byId("tools").querySelector(".range");
  range.hidden = !(shown.low < shown.high);
  range.firstElementChild.textContent = order.title;
}

function resetRange() {
  byId("low").value = 0;
  byId("high").value = SLIDER_STEPS;
}

function updateGrid() {
  const layer = shown.layer;
  shown.filters = selectFilters();
  grid.replaceChildren(...shown.filters.map((f) => shown.cells.get(f.filter)));
  updateCaptions();
  if (!shown.filters.some((f) => f.filter === shown.current)) setCurrent(shown.filters[0]?.filter);
  byId("shown").textContent = `${formatCount(shown.filters.length)} of ${formatCount(layer.live.length)} shown`;
  for (const id of shown.low === null ? [] : ["low", "high"]) {
    const text = shown.order.format(sliderValue(byId(id)));
    byId(`${id}-text`).textContent = text;
    byId(id).setAttribute("aria-valuetext", text);
  }
  byId("low").style.zIndex = byId("low").value > SLIDER_STEPS / 2 ? 2 : 1; /* or it could not be taken back */
  if (shown.low < shown.high) drawHistogram();
}

function makeTurn(layer) {
  const before = site.layers[layer.number - 1], after = site.layers[layer.number + 1], turn = byId("turn");
  turn.replaceChildren();
  if (before) turn.append(element("a", { href: layerHash(before) }, `‹ ${before.name}`));
  if (after) turn.append(element("a", { href: layerHash(after), className: "next" }, `${after.name} ›`));
}

function describeLayer(layer) {
  if (!site.several) return `${describeCounts(layer.live.length, layer.dead.length)}, ${describeRange(layer.parts[0])}`;
  return `From left to right: ${layer.parts.map((part, a) => `${site.atlases[a].name} (${part ? describeCounts(part.live.length, part.dead.length) : "without this layer"})`).join(", ")}`;
}

function showDead(layer) {
  byId("dead").hidden = !layer.dead.length;
  byId("dead").open = !layer.live.length;
  byId("dead").firstChild.textContent = `${formatCount(layer.dead.length)} dead filter${layer.dead.length === 1 ? "" : "s"}` + (site.several ? " in all" : "");
  byId("dead").lastChild.replaceChildren("No noise woke them: ", ...layer.dead.flatMap((f, i) =>
    [i ? ", " : "", element("a", { href: filterHash(layer, f) }, String(f.filter))]));
}

/* The sheets of the layer's thumbnails, as properties of the grid: .of-0 takes the first atlas'. */
function setSheets(layer, sheets) {
  sheets.forEach((sheet, a) => {
    if (!sheet) return;
    grid.style.setProperty(`--sheet-${a}`, cssAddress(`${layerFolder(layer.parts[a])}/sheet.jpg`));
    grid.style.setProperty(`--sheet-size-${a}`, `${100 * sheet.columns}% ${100 * sheet.rows}%`);
  });
}

async function showLayer(layer) {
  if (shown.layer === layer) return;
  const sheets = await Promise.all(layer.parts.map((part) => part ? loadSheet(part) : null));
  Object.assign(shown, { layer, current: null });
  byId("layer-title").textContent = layer.name;
  byId("layer-lead").textContent = describeLayer(layer);
  byId("tools").hidden = layer.live.length < 2 && !layer.hasExamples;
  resetRange();
  chooseOrder();
  showDead(layer);
  setSheets(layer, sheets);
  shown.cells = new Map(layer.live.map((f) => [f.filter, makeCell(layer, f, sheets)]));
  makeTurn(layer);
  byId("second-row").hidden = !layer.hasExamples;
  updateGrid();
  await updateSecondRow();
}

/* The choices of what to sort by, and the style of thumbnails, which depend on the atlases alone. */
function prepareLayers() {
  const makeChoice = ({ value, label, title }, i) => element("label", { title },
    element("input", { type: "radio", name: "sort", value, checked: i === 0 }), element("span", {}, label));
  byId("tools").querySelector(".choice").append(...site.orders.map(makeChoice));
  const rule = (a) => `#grid .of-${a} { background-image: var(--sheet-${a}); background-size: var(--sheet-size-${a}); }`;
  document.head.append(element("style", {}, site.atlases.map((_, a) => rule(a)).join("\n")));
  for (const place of [grid, byId("tools")]) place.classList.toggle("several", site.several);
  grid.style.setProperty("--sides", site.atlases.length);
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
  if (event.target.name === "examples") return void updateSecondRow();
  if (event.target.name === "sort") {
    const { title } = shown.order;
    chooseOrder();
    if (shown.order.title !== title) resetRange(); /* it was about something else */
  }
  if (event.target === low) low.value = Math.min(low.value, high.value);
  if (event.target === high) high.value = Math.max(low.value, high.value);
  updateGrid();
});
byId("tools").addEventListener("submit", (event) => event.preventDefault());
