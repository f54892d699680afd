/* One picture, large, above the view from which it was opened. */

const dialog = byId("picture");
const opened = { layer: null, entry: null, order: [], back: false };

/* A place for a picture and its examples per atlas: the page has one, others are copies. */
const frames = [];
function makeFrames() {
  const first = dialog.querySelector(".frame");
  for (let a = 0; a < site.atlases.length; a++) {
    const root = a ? first.cloneNode(true) : first;
    if (a) {
      for (const copy of root.querySelectorAll("[id]")) copy.removeAttribute("id");
      frames[a - 1].root.after(root);
    }
    root.style.setProperty("--aspect", site.atlases[a].aspect);
    const find = (name) => root.querySelector(`.${name}`);
    frames.push({ root, large: find("large"), none: find("no-picture"), whose: find("whose"), examples: find("examples") });
  }
  dialog.classList.toggle("several", site.several);
  dialog.style.setProperty("--sides", site.atlases.length);
}

const makeFacts = (facts) => facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));

function showFacts(layer, entry) {
  const [filter] = entry.parts, [atlas] = site.atlases;
  const facts = [["Layer", element("a", { href: layerHash(layer) }, layer.name)], ["Loss", formatLoss(filter.loss)]];
  if (filter.rank) facts.push(["Rank", `${formatCount(filter.rank)} of ${formatCount(layer.live.length)}, by loss`]);
  if (filter.mark) facts.push(["Rescued by", filter.mark]);
  facts.push(["Recipe", describeRecipe(atlas)]);
  facts.push(["Job", element("span", { title: atlas.digest }, atlas.digest.slice(0, 12))]);
  byId("facts").replaceChildren(...makeFacts(facts));
}

/* What several atlases have in common, or don't. */
function showCommonFacts(layer, entry) {
  const difference = differenceOf(entry), facts = [["Layer", element("a", { href: layerHash(layer) }, layer.name)]];
  if (difference !== null) facts.push(["Difference of the losses", `${(100 * difference).toPrecision(3)} % of the higher`]);
  for (const { atlas, other, cosine } of cosinesOf(layer, entry))
    facts.push([`Kernels of ${site.atlases[other].name} and ${site.atlases[atlas].name}`, `cosine ${formatCosine(cosine)}`]);
  byId("facts").replaceChildren(...makeFacts(facts));
}

/* Above a picture: its atlas, which leads to the same filter there. */
function showWhose({ whose }, layer, entry, a) {
  const filter = entry.parts[a], atlas = site.atlases[a];
  const words = !filter ? [] : filter.dead ? ["dead"] : [`loss ${formatLoss(filter.loss)}`, `rank ${formatCount(filter.rank)} of ${formatCount(layer.parts[a].live.length)}`];
  if (filter?.mark) words.push(filter.mark);
  const name = atlas.missing ? element("b", {}, atlas.name) : element("a", { href: `${atlas.folder}index.html${filter ? filterHash(layer, entry) : ""}` }, atlas.name);
  whose.replaceChildren(name, ...words.map((word) => element("span", {}, word)));
  whose.hidden = false;
}

function showFrame(frame, layer, entry, a) {
  const filter = entry.parts[a], part = layer.parts[a];
  frame.large.hidden = !isLive(filter);
  frame.none.hidden = isLive(filter);
  frame.none.textContent = filter ? "Dead: no noise woke it, so there is no picture." : "Not in this atlas.";
  if (isLive(filter)) {
    frame.large.src = pictureFile(part, filter);
    frame.large.alt = `The picture that excites filter ${entry.filter} of ${layer.name}` + (site.several ? ` in ${site.atlases[a].name}` : "");
  }
  if (site.several) showWhose(frame, layer, entry, a);
  showExamples(frame.examples, part, entry);
}

/* What the arrows go through: what the grid shows, or else the layer by loss. */
function orderOf(layer, entry) {
  const order = shown.layer === layer ? shown.filters : layer.live;
  return order.includes(entry) ? order : layer.live.includes(entry) ? layer.live : layer.dead;
}

/* The pictures that an arrow leads to. */
function loadAhead(layer, entry) {
  entry?.parts.forEach((filter, a) => { if (isLive(filter)) new Image().src = pictureFile(layer.parts[a], filter); });
}

function showPicture(layer, entry) {
  const order = orderOf(layer, entry), at = order.indexOf(entry), [filter] = entry.parts;
  Object.assign(opened, { layer, entry, order });
  byId("picture-title").textContent = `Filter ${entry.filter}`;
  frames.forEach((frame, a) => showFrame(frame, layer, entry, a));
  byId("file").hidden = site.several || !isLive(filter);
  if (!byId("file").hidden) byId("file").href = pictureFile(layer.parts[0], filter);
  (site.several ? showCommonFacts : showFacts)(layer, entry);
  byId("place").textContent = `${formatCount(at + 1)} of ${formatCount(order.length)}`;
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === order.length - 1;
  loadAhead(layer, order[at - 1]);
  loadAhead(layer, order[at + 1]);
  document.title = `${layer.name} ${entry.filter} · ${site.title} filter atlas`;
  if (!dialog.open) dialog.showModal();
}

function go(step) {
  const entry = opened.order[opened.order.indexOf(opened.entry) + step];
  if (!entry) return;
  history.replaceState(null, "", filterHash(opened.layer, entry)); /* at once, for keys may repeat faster than routes */
  showPicture(opened.layer, entry);
}

byId("previous").onclick = () => go(-1);
byId("next").onclick = () => go(1);
byId("close").onclick = () => dialog.close();
dialog.addEventListener("close", leavePicture);
dialog.addEventListener("click", (event) => { if (event.target.matches("dialog, figure, .frames, .frame")) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    go(step);
  }
});

/* A swipe does what the arrows do. */
let touched = null;
dialog.addEventListener("touchstart", (event) => { touched = event.touches.length === 1 ? event.touches[0] : null; }, { passive: true });
dialog.addEventListener("touchend", (event) => {
  const end = event.changedTouches[0], x = touched ? end.clientX - touched.clientX : 0;
  if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(end.clientY - touched.clientY)) go(x < 0 ? 1 : -1);
  touched = null;
});
