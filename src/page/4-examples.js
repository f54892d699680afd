/* Natural images: those that excite a filter most, beside what it dreams of. */

const SMALL_FIELD = 48; /* pixels: less than that is shown as the pixels they are */

function loadExamples(part) {
  part.examples ??= !part.hasExamples ? Promise.resolve(null)
    : loadScript(`${part.atlas.folder}page/examples/${encodeURIComponent(part.name)}.js`).catch(() => null);
  return part.examples;
}

/* What a layer's file has of a filter: { answered, looked, images: [{ source, name, activation, row, column }] }. */
function examplesOf(part, filter, data) {
  const [answered, list] = data?.filters[filter] ?? [0, []];
  const folder = `${part.atlas.folder}examples/${encodeURIComponent(part.name)}/${String(filter).padStart(4, "0")}`;
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
async function showExamples(strip, part, entry) {
  if (!part?.hasExamples) {
    strip.hidden = true;
    return;
  }
  const data = await loadExamples(part);
  if (opened.entry !== entry) return;
  const { answered, looked, images } = examplesOf(part, entry.filter, data);
  strip.hidden = !data;
  strip.firstElementChild.textContent = `Excited by ${formatCount(answered)} of ${formatCount(looked)} images` + (images.length ? ", most by these" : "");
  strip.lastElementChild.replaceChildren(...images.map((image) => element("li", {}, makeExample(image))));
}

/* The best image of every filter, under its picture in the grid. */
async function updateSecondRow() {
  const layer = shown.layer, wanted = layer.hasExamples && byId("tools").elements.examples.checked;
  grid.classList.toggle("with-examples", wanted);
  if (!wanted) return;
  const data = await Promise.all(layer.parts.map((part) => part && loadExamples(part)));
  if (shown.layer !== layer) return;
  for (const [number, cell] of shown.cells) {
    if (cell.querySelector(".example")) continue;
    const best = layer.parts.map((part, a) => part && data[a] ? examplesOf(part, number, data[a]).images[0] : undefined);
    if (!best.some(Boolean)) continue;
    const row = best.map((image) => element("span", { className: "example" }, image ? makeExample(image) : ""));
    cell.children[0].after(element("div", { className: "second" }, ...row));
  }
}
