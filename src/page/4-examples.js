/* Natural images: those that excite a filter most, beside what it dreams of. */

const SMALL_FIELD = 48; /* pixels: less than that is shown as the pixels they are */

const examplesLoaded = new Map();
function loadExamples(layer) {
  layer.examples ??= !layer.hasExamples ? Promise.resolve(null) : loadScript(`page/examples/${encodeURIComponent(layer.name)}.js`)
    .then(() => examplesLoaded.get(layer.name) ?? null, () => null);
  return layer.examples;
}

/* What a layer's file has of a filter: { answered, looked, images: [{ source, name, activation, row, column }] }. */
function examplesOf(layer, filter, data) {
  const [answered, list] = data?.filters[filter.filter] ?? [0, []];
  const folder = `examples/${encodeURIComponent(layer.name)}/${String(filter.filter).padStart(4, "0")}`;
  const images = list.map(([number, activation, row, column]) => {
    const [hash, name] = data.images[number];
    return { source: `${folder}_${hash}.jpg`, name, activation, row, column };
  });
  return { answered, looked: data?.looked ?? 0, images };
}

function makeExample({ source, name, activation, row, column }) {
  const image = element("img", { loading: "lazy", decoding: "async", alt: name, title: `${name}: ${formatLoss(activation)} at row ${row}, column ${column}` });
  image.onload = () => image.classList.toggle("coarse", image.naturalWidth < SMALL_FIELD && image.naturalHeight < SMALL_FIELD);
  image.src = source;
  return image;
}

/* Under a picture, or in its place where there is none. */
async function showExamples(layer, filter) {
  const strip = byId("examples");
  if (!layer.hasExamples) {
    strip.hidden = true;
    return;
  }
  const data = await loadExamples(layer);
  if (opened.layer !== layer || opened.filter !== filter) return;
  const { answered, looked, images } = examplesOf(layer, filter, data);
  strip.hidden = !data;
  strip.firstElementChild.textContent = `Excited by ${formatCount(answered)} of ${formatCount(looked)} images` + (images.length ? ", most by these" : "");
  strip.lastElementChild.replaceChildren(...images.map((image) => element("li", {}, makeExample(image))));
}

/* The best image of every filter, under its picture in the grid. */
async function updateSecondRow() {
  const layer = shown.layer, wanted = layer.hasExamples && byId("tools").elements.examples.checked;
  grid.classList.toggle("with-examples", wanted);
  if (!wanted) return;
  const data = await loadExamples(layer);
  if (shown.layer !== layer || !data) return;
  for (const [number, cell] of shown.cells) {
    const [best] = examplesOf(layer, { filter: number }, data).images;
    if (best && !cell.querySelector(".example"))
      cell.append(element("span", { className: "example" }, makeExample(best)));
  }
}
