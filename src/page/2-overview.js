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

function makeCover(part) {
  const count = Math.min(part.live.length, MOST_COVERS);
  const cover = element("div", { className: "cover" });
  cover.setAttribute("aria-hidden", "true");
  for (let i = 0; i < count; i++) {
    const place = element("i");
    place.style.backgroundPosition = `${count > 1 ? 100 * i / (count - 1) : 0}% 0`;
    cover.append(place);
  }
  cover.style.setProperty("--covers", `${100 * count}%`);
  if (site.several) cover.style.setProperty("--aspect", part.atlas.aspect);
  cover.addEventListener("near", () => {
    for (const place of cover.children) place.style.backgroundImage = cssAddress(`${layerFolder(part)}/cover.jpg`);
  });
  if (count) near.observe(cover);
  return cover;
}

function makeRow(layer) {
  const [part] = layer.parts;
  const share = element("span", { className: "share" }, element("i"));
  share.setAttribute("aria-hidden", "true");
  share.firstChild.style.width = `${100 * part.live.length / part.filters.length}%`;
  const about = element("div", {},
    element("h2", {}, layer.name),
    element("p", { className: "counts" }, describeCounts(part.live.length, part.dead.length)),
    share,
    element("p", {}, describeRange(part)));
  return element("li", {}, element("a", { href: layerHash(layer) }, about, makeCover(part)));
}

/* The same of several atlases, one below the other. */
function makeRows(layer) {
  const about = element("div", {}, element("h2", {}, layer.name),
    element("p", {}, `${formatCount(layer.filters.length)} filter${layer.filters.length === 1 ? "" : "s"}`));
  const sides = layer.parts.map((part, a) => element("div", { className: "side" },
    element("div", {}, element("b", {}, site.atlases[a].name), ...(part
      ? [element("p", { className: "counts" }, describeCounts(part.live.length, part.dead.length)), element("p", {}, describeRange(part))]
      : [element("p", {}, "not in this atlas")])),
    part ? makeCover(part) : ""));
  return element("li", {}, element("a", { href: layerHash(layer) }, about, element("div", { className: "sides" }, ...sides)));
}

const sum = (items, count) => items.reduce((total, item) => total + count(item), 0);
const countFilters = (atlas) => describeCounts(sum(atlas.parts, (part) => part.live.length), sum(atlas.parts, (part) => part.dead.length));
const countLayers = () => `${site.layers.length} convolution layer${site.layers.length === 1 ? "" : "s"}`;
const describeJob = (atlas) => [...atlas.job, ["job", atlas.digest], ["program", atlas.program]];

function describeOne() {
  const [atlas] = site.atlases, filters = sum(atlas.parts, (part) => part.filters.length);
  byId("overview-lead").textContent = `What excites each of ${formatCount(filters)} filters of ${countLayers()} most: ` +
    `${countFilters(atlas)}. Recipe: ${describeRecipe(atlas)}.`;
  for (const [name, value] of describeJob(atlas))
    byId("job").append(element("dt", {}, name), element("dd", {}, value));
}

/* The atlas' own page, and what there is to know of it. */
function makeAtlasItem(atlas) {
  if (atlas.missing)
    return element("li", { className: "missing" }, element("b", {}, atlas.name), ` is not at ${decodeURIComponent(atlas.folder)}`);
  return element("li", {}, element("a", { href: `${atlas.folder}index.html` }, atlas.name),
    ` ${atlas.network}, recipe ${describeRecipe(atlas)}: ${countFilters(atlas)}`);
}

/* What the jobs say, those lines first in which they differ. */
function makeJobTable() {
  const jobs = site.atlases.map((atlas) => new Map([["recipe", "keras"], ...describeJob(atlas)]));
  const shorten = (value) => /^[0-9a-f]{64}$/.test(value) ? value.slice(0, 12) : /^\d+\.\d{7,}$/.test(value) ? String(Number(Number(value).toPrecision(6))) : value;
  const makeValue = (value) => element("td", { title: value }, shorten(value));
  const rows = mergeNames(jobs.map((job) => [...job.keys()])).map((name) => [name, ...jobs.map((job) => job.get(name) ?? "")]);
  const differs = ([, ...values]) => new Set(values).size > 1;
  const head = element("tr", {}, element("th"), ...site.atlases.map((atlas) => element("th", { scope: "col" }, atlas.name)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...[...rows.filter(differs), ...rows.filter((row) => !differs(row))].map((row) =>
    element("tr", { className: differs(row) ? "differs" : "" }, element("th", { scope: "row" }, row[0]), ...row.slice(1).map(makeValue)))));
}

function describeSeveral() {
  byId("overview-lead").textContent = `${site.atlases.length} atlases side by side, filter by filter: ` +
    `${formatCount(sum(site.layers, (layer) => layer.filters.length))} filters of ${countLayers()}.`;
  byId("atlases").append(...site.atlases.map(makeAtlasItem));
  if (site.atlases.some((atlas) => atlas.missing))
    byId("atlases").after(element("p", { className: "lead missing" }, "This page shows the files of its atlases, which must stay where they are, seen from it: " +
      "move them together, or run filteratlas gallery again."));
  byId("atlases").hidden = false;
  byId("job").replaceWith(element("div", { className: "wide" }, makeJobTable()));
  byId("losses").hidden = true;
}

function makeOverview() {
  byId("overview-title").textContent = site.title;
  if (site.several) describeSeveral();
  else describeOne();
  byId("layers").append(...site.layers.map(site.several ? makeRows : makeRow));
}
