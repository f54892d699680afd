/* All layers at a glance. */

const MOST_COVERS = 8;

/* Calls back when an element comes near the window. */
const near = new IntersectionObserver((entries) => {
  for (const entry of entries)
    if (entry.isIntersecting) {
      near.unobserve(entry.target);
      entry.target.dispatchEvent(new Event("near"));
    }
}, { rootMargin: "300px" });

function makeCover(layer) {
  const count = Math.min(layer.live.length, MOST_COVERS);
  const cover = element("div", { className: "cover" });
  cover.setAttribute("aria-hidden", "true");
  for (let i = 0; i < count; i++) {
    const place = element("i");
    place.style.backgroundPosition = `${count > 1 ? 100 * i / (count - 1) : 0}% 0`;
    cover.append(place);
  }
  cover.style.setProperty("--covers", `${100 * count}%`);
  cover.addEventListener("near", () => {
    for (const place of cover.children) place.style.backgroundImage = cssAddress(`${layerFolder(layer)}/cover.jpg`);
  });
  if (count) near.observe(cover);
  return cover;
}

function makeRow(layer) {
  const share = element("span", { className: "share" }, element("i"));
  share.setAttribute("aria-hidden", "true");
  share.firstChild.style.width = `${100 * layer.live.length / layer.filters.length}%`;
  const about = element("div", {},
    element("h2", {}, layer.name),
    element("p", { className: "counts" }, describeCounts(layer.live.length, layer.dead.length)),
    share,
    element("p", {}, describeRange(layer)));
  return element("li", {}, element("a", { href: layerHash(layer) }, about, makeCover(layer)));
}

function makeOverview() {
  const sum = (count) => atlas.layers.reduce((total, layer) => total + count(layer), 0);
  const filters = sum((layer) => layer.filters.length);
  byId("overview-title").textContent = atlas.network;
  byId("overview-lead").textContent = `What excites each of ${formatCount(filters)} filters of ${atlas.layers.length} ` +
    `convolution layer${atlas.layers.length === 1 ? "" : "s"} most: ` +
    `${describeCounts(sum((layer) => layer.live.length), sum((layer) => layer.dead.length))}. Recipe: ${describeRecipe()}.`;
  byId("layers").append(...atlas.layers.map(makeRow));
  for (const [name, value] of [...atlas.job, ["job", atlas.digest], ["program", atlas.program]])
    byId("job").append(element("dt", {}, name), element("dd", {}, value));
}
