// The inputs: a slider for a number, a sheet of cells for a matrix.

import { $, drawing, make, named } from "./dom.js";
import { exact, flat, number, parse, shape, sizes } from "./numbers.js";

const CELLS = 12;
let change = () => {};
let known = "";
const holder = $("inputs");
const row = (name) => holder.querySelector(`[data-of="${CSS.escape(name)}"]`);

export function onChange(callback) {
  change = callback;
}

// `leaves` are shown in the order of `order`; `gradients` are null while they are hidden.
export function show(leaves, order, gradients, labels) {
  const place = (leaf) => order.indexOf(leaf.node) + 1 || Infinity;
  const sorted = leaves.filter((leaf) => leaf.kind === "input");
  sorted.sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  const mark = JSON.stringify(sorted.map((leaf) => [leaf.node, leaf.shape, labels.has(leaf.node)]));
  if (mark !== known) {
    known = mark;
    holder.replaceChildren(...sorted.map((leaf) => (leaf.shape.length ? tensorRow(leaf, labels.has(leaf.node)) : scalarRow(leaf))));
    holder.classList.toggle("many", sorted.filter((leaf) => !leaf.shape.length).length > 4);
  }
  const largest = Math.max(...sorted.map((leaf) => Math.abs(Number(gradients?.[leaf.node]) || 0)));
  for (const leaf of sorted) {
    set(leaf.node, leaf.value);
    if (!leaf.shape.length) point(leaf, gradients?.[leaf.node], largest);
  }
  $("arrows").hidden = !gradients || !sorted.some((leaf) => !leaf.shape.length);
}

export function set(name, value) {
  const box = row(name);
  if (!box) return;
  if (Array.isArray(value)) {
    const entries = flat(value);
    box.querySelectorAll(".sheet input").forEach((cell, at) => write(cell, entries[at]));
    const area = box.querySelector("textarea");
    if (area && area !== document.activeElement) area.value = matrix(value);
    return;
  }
  const [slider, field] = box.querySelectorAll("input");
  widen(slider, value);
  if (slider !== document.activeElement) slider.value = value;
  write(field, value);
}

function write(field, value) {
  field.title = exact(value);
  if (field !== document.activeElement) field.value = number(value);
}

// Zero stays in the middle; both ends move out when one is reached.
function widen(slider, value) {
  let reach = Number(slider.max) || 5;
  while (Math.abs(value) >= reach) reach *= 2;
  if (Number(slider.max) === reach) return;
  slider.max = reach;
  slider.min = -reach;
  slider.step = reach / 1000;
}

// An arrow from the thumb to where the result rises, as long as the gradient is large.
function point(leaf, gradient, largest) {
  const said = row(leaf.node).querySelector(".of");
  if (gradient === undefined || gradient === null) {
    said.replaceChildren();
    return;
  }
  const slope = Number(gradient);
  const reach = Number(row(leaf.node).querySelector("input").max);
  const at = 50 + 50 * (Number(leaf.value) / reach);
  const picture = drawing("svg", { "aria-hidden": "true" });
  if (slope && Number.isFinite(slope)) {
    const length = Math.sign(slope) * (6 + 54 * Math.abs(slope) / largest);
    const tip = -4 * Math.sign(slope);
    const arrow = drawing("path", { class: "arrow", d: `M0 6h${length.toFixed(1)}m${tip} -4l${-tip} 4l${tip} 4` });
    const moved = drawing("svg", { x: `${at}%`, overflow: "visible" }, arrow);
    picture.append(moved);
  }
  said.replaceChildren(picture, make("span", { title: exact(gradient) }, number(gradient)));
}

function scalarRow(leaf) {
  const slider = make("input", { type: "range", max: "5", min: "-5", step: "0.005", "aria-label": `${leaf.node}, slider`, "data-name": leaf.node });
  const field = make("input", { type: "text", class: "number", inputmode: "text", autocomplete: "off", "aria-label": leaf.node, "data-name": leaf.node });
  slider.addEventListener("input", () => {
    const value = Number(Number(slider.value).toPrecision(4));
    write(field, value);
    change(leaf.node, value);
  });
  edited(field, (value) => change(leaf.node, value));
  return make("div", { class: "input scalar", "data-of": leaf.node }, make("span", { title: leaf.node, class: "name" }, named(leaf.node)), slider, field, make("span", { class: "of" }));
}

// A field that shows short numbers, and all their digits while it is edited.
function edited(field, changed) {
  field.addEventListener("focus", () => { if (field.title) field.value = field.title; field.select(); });
  field.addEventListener("input", () => {
    const value = parse(field.value);
    field.toggleAttribute("aria-invalid", value === null);
    if (value === null) field.setAttribute("aria-invalid", "true");
    else { field.title = exact(value); changed(value); }
  });
  field.addEventListener("blur", () => {
    const value = parse(field.title);
    field.removeAttribute("aria-invalid");
    if (value !== null) field.value = number(value);
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key];
    if (!step || field.closest(".sheet")) return;
    const value = nudged(parse(field.title) ?? 0, step, event);
    field.title = field.value = exact(value);
    changed(value);
    event.preventDefault();
  });
}

export function nudged(value, step, event) {
  const size = event.shiftKey ? step * 10 : event.altKey ? step / 10 : step;
  return Number((value + size).toPrecision(10));
}

function tensorRow(leaf, labels) {
  const name = make("span", { class: "name", title: leaf.node }, named(leaf.node));
  const dims = leaf.shape;
  const small = dims.length <= 2 && dims.every((size) => size <= CELLS) && flat(leaf.value).length > 0;
  const body = small ? sheet(leaf) : area(leaf);
  const under = make("div", { class: "under" }, labels ? `${dims[0]} labels` : "");
  if (!labels && dims.length <= 2) {
    const field = make("input", { "aria-label": `Shape of ${leaf.node}`, value: sizes(dims) });
    field.addEventListener("change", () => {
      const wanted = field.value.split(/[×x,\s]+/).map(Number);
      const fits = wanted.length && wanted.length <= 2 && wanted.every((size) => Number.isInteger(size) && size > 0 && size <= 64);
      field.toggleAttribute("aria-invalid", !fits);
      if (fits) change(leaf.node, reshaped(leaf.value, wanted));
    });
    under.append(field);
  } else under.append(labels ? "" : sizes(dims));
  return make("div", { class: "input tensor", "data-of": leaf.node }, name, make("div", {}, body, under));
}

function reshaped(value, dims) {
  const rows = shape(value).length > 1 ? value : [value];
  const at = (i, j) => rows[i % rows.length][j % rows[0].length];
  const row = (i, count) => Array.from({ length: count }, (_, j) => at(i, j));
  return dims.length === 1 ? row(0, dims[0]) : Array.from({ length: dims[0] }, (_, i) => row(i, dims[1]));
}

function sheet(leaf) {
  const dims = shape(leaf.value);
  const columns = dims.at(-1);
  const grid = make("div", { class: "sheet", role: "group", "aria-label": `Entries of ${leaf.node}` });
  grid.style.gridTemplateColumns = `repeat(${columns}, auto)`;
  const cells = flat(leaf.value).map((_, at) => {
    const place = dims.length > 1 ? [Math.floor(at / columns), at % columns] : [at];
    const cell = make("input", { type: "text", autocomplete: "off", "aria-label": `${leaf.node}[${place.join(", ")}]`, "data-name": leaf.node });
    edited(cell, () => change(leaf.node, gathered(cells, dims)));
    return cell;
  });
  grid.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -columns, ArrowDown: columns, ArrowLeft: -1, ArrowRight: 1, Enter: columns }[event.key];
    const at = cells.indexOf(event.target);
    const inside = Math.abs(by) === 1 && event.target.selectionStart !== event.target.selectionEnd ? true : Math.abs(by) !== 1;
    if (!by || at < 0 || !inside || !cells[at + by]) return;
    cells[at + by].focus();
    event.preventDefault();
  });
  grid.addEventListener("paste", (event) => {
    const pasted = table(event.clipboardData.getData("text"));
    if (!pasted || (pasted.length === 1 && pasted[0].length === 1)) return;
    event.preventDefault();
    change(leaf.node, dims.length > 1 || pasted.length > 1 ? pasted : pasted[0]);
  });
  grid.append(...cells);
  return grid;
}

// Numbers as NumPy, a spreadsheet or a CSV file writes them, by rows; null for anything else.
function table(text) {
  const rows = text.trim().replace(/^array\(|\)$|dtype=\w+/g, "").split(/\n|\]\s*,?\s*\[/);
  const read = rows.map((one) => one.replace(/[[\]]/g, " ").trim().split(/[\s,;]+/).filter(Boolean).map(parse));
  const length = read[0].length;
  return length && read.every((one) => one.length === length && !one.includes(null)) ? read : null;
}

function gathered(cells, dims) {
  const values = cells.map((cell) => parse(cell.title) ?? 0);
  if (dims.length === 1) return values;
  return Array.from({ length: dims[0] }, (_, i) => values.slice(i * dims[1], (i + 1) * dims[1]));
}

function area(leaf) {
  const field = make("textarea", { rows: "4", spellcheck: "false", "aria-label": leaf.node, "data-name": leaf.node });
  field.addEventListener("input", () => {
    try {
      const value = JSON.parse(field.value);
      field.removeAttribute("aria-invalid");
      change(leaf.node, value);
    } catch {
      field.setAttribute("aria-invalid", "true");
    }
  });
  return field;
}

const matrix = (x) => (shape(x).length === 2 ? JSON.stringify(x).replaceAll("],[", "],\n [") : JSON.stringify(x));
