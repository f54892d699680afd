/* One picture, large, above the view from which it was opened. */

const dialog = byId("picture");
const opened = { layer: null, filter: null, order: [], back: false };

function showFacts(layer, filter) {
  const facts = [["Layer", element("a", { href: layerHash(layer) }, layer.name)], ["Loss", formatLoss(filter.loss)]];
  if (filter.rank) facts.push(["Rank", `${formatCount(filter.rank)} of ${formatCount(layer.live.length)}, by loss`]);
  if (filter.mark) facts.push(["Rescued by", filter.mark]);
  facts.push(["Recipe", describeRecipe()]);
  facts.push(["Job", element("span", { title: atlas.digest }, atlas.digest.slice(0, 12))]);
  byId("facts").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/* What the arrows go through: what the grid shows, or else the layer by loss. */
function orderOf(layer, filter) {
  const order = shown.layer === layer ? shown.filters : layer.live;
  return order.includes(filter) ? order : layer.live.includes(filter) ? layer.live : layer.dead;
}

function showPicture(layer, filter) {
  const order = orderOf(layer, filter), at = order.indexOf(filter), large = byId("large");
  Object.assign(opened, { layer, filter, order });
  byId("picture-title").textContent = `Filter ${filter.filter}`;
  large.hidden = byId("file").hidden = Boolean(filter.dead);
  byId("no-picture").hidden = !filter.dead;
  if (!filter.dead) {
    large.src = byId("file").href = pictureFile(layer, filter);
    large.alt = `The picture that excites filter ${filter.filter} of ${layer.name}`;
  }
  showFacts(layer, filter);
  showExamples(layer, filter);
  byId("place").textContent = `${formatCount(at + 1)} of ${formatCount(order.length)}`;
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === order.length - 1;
  for (const neighbour of [order[at - 1], order[at + 1]])
    if (neighbour && !neighbour.dead) new Image().src = pictureFile(layer, neighbour);
  document.title = `${layer.name} ${filter.filter} · ${atlas.network} filter atlas`;
  if (!dialog.open) dialog.showModal();
}

function go(step) {
  const filter = opened.order[opened.order.indexOf(opened.filter) + step];
  if (!filter) return;
  history.replaceState(null, "", filterHash(opened.layer, filter)); /* at once, for keys may repeat faster than routes */
  showPicture(opened.layer, filter);
}

byId("previous").onclick = () => go(-1);
byId("next").onclick = () => go(1);
byId("close").onclick = () => dialog.close();
dialog.addEventListener("close", leavePicture);
dialog.addEventListener("click", (event) => { if (event.target.matches("dialog, figure, .frame")) dialog.close(); });
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
