/* Layers and filters of all atlases, matched by name and number, and what they can be sorted by. */

const isLive = (filter) => Boolean(filter) && !filter.dead;
const lossIn = (entry, a) => isLive(entry.parts[a]) ? entry.parts[a].loss : null;

/* How far the losses of a filter are apart, as a share of the highest; a dead one has none, 0. null: in one atlas alone. */
function differenceOf(entry) {
  const losses = entry.parts.filter(Boolean).map((f) => (f.dead ? 0 : f.loss));
  const most = Math.max(...losses);
  return losses.length < 2 || losses.includes(null) || !(most > 0) ? null : (most - Math.min(...losses)) / most;
}

/* The cosines of the filter's kernels in two atlases each. */
function cosinesOf(layer, entry) {
  return layer.kernels.map(({ atlas, other, cosine }) => ({ atlas, other, cosine: cosine[entry.filter] ?? null }))
    .filter(({ cosine }) => cosine !== null);
}

/* A filter: parts[a] is what atlas a has of it, if anything. */
function makeEntry(filter, parts) {
  const first = parts.map((part) => part?.byNumber.get(filter));
  return { filter, parts: first, dead: !first.some(isLive) };
}

function makeLayer(name, number) {
  const parts = site.atlases.map((atlas) => atlas.parts.find((part) => part.name === name));
  const numbers = [...new Set(parts.flatMap((part) => part?.filters.map((f) => f.filter) ?? []))].sort((a, b) => a - b);
  const filters = numbers.map((filter) => makeEntry(filter, parts));
  return {
    name, number, parts, filters,
    kernels: site.kernels.filter(({ layer }) => layer === name),
    live: filters.filter((entry) => !entry.dead),
    dead: filters.filter((entry) => entry.dead),
    byNumber: new Map(filters.map((entry) => [entry.filter, entry])),
    hasExamples: parts.some((part) => part?.hasExamples),
    block: (/^(.*)_conv\d+$/.exec(name) || [, name])[1],
  };
}

/* Names in an order that keeps that of every list, where they agree: a further one stands before what follows it there, or else
 * behind what precedes it. */
function mergeNames([first = [], ...others]) {
  const names = [...first];
  for (const list of others)
    list.forEach((name, i) => {
      if (names.includes(name)) return;
      const next = list.slice(i + 1).find((later) => names.includes(later));
      names.splice(next ? names.indexOf(next) : i ? names.indexOf(list[i - 1]) + 1 : names.length, 0, name);
    });
  return names;
}

function makeLayers() {
  site.layers = mergeNames(site.atlases.map((atlas) => atlas.parts.map((part) => part.name))).map(makeLayer);
  site.orders = makeOrders();
  for (const layer of site.layers) sortEntries(layer.live, layer, site.orders[0]);
}

/* of(entry, layer): a number, or null where there is none; what the range of the sliders is about. */
function makeOrders() {
  const several = site.several, format = formatLoss, percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const orders = site.atlases.map(({ name }, a) => ({
    value: a ? `loss${a}` : "loss", label: several ? `Loss in ${name}` : "Loss", title: several ? `Loss in ${name}` : "Loss", of: (entry) => lossIn(entry, a), format,
  }));
  const [first] = orders;
  if (several) orders.push({ value: "difference", label: "Difference", title: "Difference of the losses", of: differenceOf, format: percent });
  if (site.kernels.length) {
    const least = (entry, layer) => Math.min(...cosinesOf(layer, entry).map(({ cosine }) => cosine));
    orders.push({ value: "kernels", label: "Kernels", title: "Cosine of the kernels", rising: true, format: formatCosine,
      of: (entry, layer) => cosinesOf(layer, entry).length ? least(entry, layer) : null });
  }
  return [...orders, { ...first, value: "index", label: "Number" }];
}

/* As many digits as tell it from 1. */
function formatCosine(cosine) {
  const digits = Math.min(6, Math.max(3, Math.ceil(-Math.log10(Math.max(1e-9, 1 - Math.abs(cosine)))) + 1));
  return cosine.toFixed(digits);
}

function sortEntries(entries, layer, order) {
  if (order.value === "index") return entries.sort((a, b) => a.filter - b.filter);
  const key = new Map(entries.map((entry) => [entry, order.of(entry, layer) ?? (order.rising ? Infinity : -Infinity)]));
  return entries.sort((a, b) => (key.get(a) === key.get(b) ? 0 : (key.get(b) - key.get(a)) * (order.rising ? -1 : 1)) || a.filter - b.filter);
}
