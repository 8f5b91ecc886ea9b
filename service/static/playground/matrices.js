// A tensor as a table of numbers, of tinted cells, or as a picture.

import { make } from "./dom.js";
import { copied, decimals, entry, exact, flat, isFinite, norm, number, shape, sizes } from "./numbers.js";

const NUMBERS = 6;
const TILES = 32;
const STRONGEST = 30; // percent: text on it stays readable

export function matrix(x, kind) {
  const dims = shape(x);
  if (!dims.length) return make("span", { class: kind, title: exact(x) }, number(x));
  const rows = dims.length === 1 ? [x] : dims.length === 2 ? x : flatRows(x);
  const small = rows.length <= NUMBERS && (rows[0]?.length ?? 0) <= NUMBERS;
  const largest = Math.max(...flat(x).map((one) => Math.abs(Number(one)) || 0), 1e-300);
  const box = small ? numbers(rows, kind, largest, decimals(x)) : picture(rows, kind, largest);
  box.title = flat(x).length <= 64 ? copied(x) : `${sizes(dims)}, norm ${exact(norm(x))}`;
  const holder = make("div", {}, box);
  if (!small) holder.append(make("div", { class: "legend" }, `${sizes(dims)}, ‖·‖ = ${number(norm(x))}`));
  if (!isFinite(x)) holder.append(make("div", { class: "note" }, "not all entries are finite"));
  return holder;
}

const flatRows = (x) => (Array.isArray(x[0]?.[0]) ? x.flatMap(flatRows) : x);

function numbers(rows, kind, largest, places) {
  const grid = make("div", { class: "matrix" });
  grid.style.gridTemplateColumns = `repeat(${rows[0]?.length || 1}, auto)`;
  for (const row of rows) {
    for (const one of row) {
      const cell = make("span", { class: kind, title: exact(one) }, entry(one, places));
      cell.style.backgroundImage = tint(one, kind, largest, STRONGEST);
      grid.append(cell);
    }
  }
  return grid;
}

function tint(one, kind, largest, most) {
  const share = Math.round((most * Math.abs(Number(one) || 0)) / largest);
  const colour = `color-mix(in srgb, var(--${kind}) ${share}%, transparent)`;
  return `linear-gradient(${colour}, ${colour})`;
}

// Of a tile the entry that is largest in size.
function picture(rows, kind, largest) {
  const high = Math.min(TILES, rows.length);
  const wide = Math.min(TILES, rows[0].length);
  const grid = make("div", { class: "heat", role: "img", "aria-label": `${rows.length} by ${rows[0].length} entries` });
  grid.style.gridTemplateColumns = `repeat(${wide}, auto)`;
  for (let i = 0; i < high; i += 1) {
    for (let j = 0; j < wide; j += 1) {
      let most = 0;
      const part = (at, count, length) => [Math.floor((at * length) / count), Math.max(Math.floor((at * length) / count) + 1, Math.floor(((at + 1) * length) / count))];
      const [top, bottom] = part(i, high, rows.length);
      const [left, right] = part(j, wide, rows[0].length);
      for (let y = top; y < bottom; y += 1) for (let x = left; x < right; x += 1) if (Math.abs(rows[y][x]) > Math.abs(most)) most = rows[y][x];
      const tile = make("span", { class: "tile" });
      tile.style.backgroundImage = tint(most, kind, largest, 100);
      grid.append(tile);
    }
  }
  return grid;
}
