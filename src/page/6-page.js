/* Which view is shown: the address behind # says it. Empty: the overview; canvas; LAYER; LAYER/FILTER. */

const views = ["overview", "layer", "canvas"];
const view = { base: null, name: null, scroll: new Map() };

function parseHash() {
  const [name, number] = location.hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const layer = site.layers.find((l) => l.name === name);
  if (layer) return { name: "layer", layer, filter: layer.byNumber.get(Number(number)) };
  return { name: name === "canvas" && site.viewer ? "canvas" : "overview" };
}

async function showView(name, layer) {
  const base = name === "layer" ? layerHash(layer) : name === "canvas" ? "#canvas" : "#";
  if (base === view.base) return;
  const first = view.base === null;
  if (!first) view.scroll.set(view.base, scrollY);
  Object.assign(view, { base, name });
  if (name === "layer") await showLayer(layer);
  for (const v of views) byId(`view-${v}`).hidden = v !== name;
  document.body.classList.toggle("on-canvas", name === "canvas");
  for (const link of document.querySelectorAll(".top nav a"))
    if (link.dataset.view === (name === "layer" ? "overview" : name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  if (name === "canvas") showCanvas();
  scrollTo(0, view.scroll.get(base) ?? 0);
  if (!first) byId(`${name}-title`).focus({ preventScroll: true });
}

/* A picture opens above the canvas or its own layer. */
async function route(event) {
  const { name, layer, filter } = parseHash();
  if (!filter || view.name !== "canvas") await showView(name, layer);
  if (filter) {
    /* Opened from within, the browser's way back leads to the view below. */
    if (!dialog.open) opened.back = Boolean(event) && new URL(event.oldURL).hash.replace(/^$/, "#") === view.base;
    showPicture(layer, filter);
  } else if (dialog.open) dialog.close();
  if (!filter) document.title = [layer?.name, name === "canvas" && "Canvas", `${site.title} filter atlas`].filter(Boolean).join(" · ");
}

/* The picture was closed: back to the view below it, at the place of the picture seen last. */
function leavePicture() {
  if (parseHash().filter) {
    if (opened.back) history.back();
    else location.replace(view.base);
  }
  if (view.name === "layer" && shown.layer === opened.layer) focusCell(opened.entry.filter);
}

function start() {
  makeLayers();
  prepareLayers();
  makeFrames();
  byId("canvas-link").hidden = !site.viewer;
  document.documentElement.style.setProperty("--aspect", site.atlases[0].aspect);
  history.scrollRestoration = "manual";
  makeOverview();
  addEventListener("hashchange", route);
  document.querySelector(".skip").onclick = (event) => { /* its address would be that of a view */
    event.preventDefault();
    byId(`${view.name}-title`).focus();
  };
  route();
}
