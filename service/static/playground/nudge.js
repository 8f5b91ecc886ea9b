// Nudge: every chosen input moves a little against its gradient, and the result falls.

import { $, drawing, inField, make, named } from "./dom.js";
import { number, parse } from "./numbers.js";

let told = null;
let inputs = [];
let off = new Set();
let step = 0.5;
let curve = [];
let key = "";
let change = () => {};
let undo = () => {};

export function onMove(move, back) {
  change = move;
  undo = back;
}

// `names` can be moved, and all but `data` are at first; `graph` tells one formula's curve from another's.
export function load(explained, names, data, graph) {
  told = explained;
  inputs = names;
  const scalar = typeof explained.value === "number" && names.length > 0;
  $("nudge").hidden = !scalar;
  if (!scalar) return;
  if (graph !== key) {
    key = graph;
    off = new Set(data);
    if (off.size === names.length) off.clear();
    curve = [explained.value];
  }
  render();
}

const moved = (x, gradient) => (Array.isArray(x) ? x.map((one, at) => moved(one, gradient[at])) : x - step * Number(gradient));

export async function nudge(times = 1) {
  for (let turn = 0; turn < times; turn += 1) {
    const next = {};
    for (const name of inputs) if (!off.has(name)) next[name] = [told.gradients[name], (x, gradient) => moved(x, gradient)];
    const value = await change(next);
    if (value === null) return;
    curve.push(value);
    if (curve.length > 200) curve.shift();
  }
  render();
}

function render() {
  const rises = curve.length > 1 && curve.at(-1) > curve.at(-2);
  const choices = inputs.map((name) => {
    const box = make("input", { type: "checkbox", checked: !off.has(name), "aria-label": `${name} moves` });
    box.addEventListener("change", () => { off[box.checked ? "delete" : "add"](name); });
    return make("label", {}, box, " ", named(name), " ");
  });
  const size = make("input", { type: "text", inputmode: "decimal", "aria-label": "Step size", value: String(step) });
  size.addEventListener("change", () => { step = parse(size.value) ?? step; });
  const once = make("button", { type: "button", class: "main", id: "nudge-once" }, "Nudge");
  const often = make("button", { type: "button", id: "nudge-often", "aria-label": "Nudge ten times" }, "×10");
  const back = make("button", { type: "button", class: "link" }, "undo");
  once.addEventListener("click", () => nudge(1));
  often.addEventListener("click", () => nudge(10));
  back.addEventListener("click", () => { if (curve.length > 1) { curve.pop(); undo(); } });
  const halve = make("button", { type: "button", class: "link" }, "Halve the step");
  halve.addEventListener("click", () => { step /= 2; render(); });
  const focused = document.activeElement?.id;
  $("nudge").replaceChildren(
    make("div", {}, make("h3", {}, "Nudge: each moves by − step × gradient"), make("div", { class: "bar" }, ...choices),
      make("div", { class: "bar" }, "step ", size, once, often, back),
      ...(rises ? [make("p", { class: "note" }, "It rises: the step is too long. ", halve)] : [])),
    make("div", { hidden: curve.length < 2 }, graph(), make("div", { class: "legend" }, make("var", {}, told.output), " after each nudge")),
  );
  if (focused?.startsWith("nudge-")) $(focused)?.focus();
}

function graph() {
  const finite = curve.filter(Number.isFinite);
  const low = Math.min(0, ...finite);
  const high = Math.max(...finite, low + 1e-9);
  const x = (at) => 34 + (140 * at) / Math.max(10, curve.length - 1);
  const y = (value) => 80 - (70 * (value - low)) / (high - low);
  const points = curve.map((value, at) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
  const picture = drawing("svg", { viewBox: "0 0 180 90", role: "img", "aria-label": `${curve.length - 1} nudges, now ${number(curve.at(-1))}` });
  for (const value of [low, high]) {
    picture.append(drawing("path", { class: "axis", d: `M34 ${y(value)}H178` }), drawing("text", { x: 30, y: y(value) + 4, "text-anchor": "end" }, number(value)));
  }
  picture.append(drawing("path", { class: "curve", d: `M${points.join("L")}` }));
  curve.forEach((value, at) => picture.append(drawing("circle", { cx: x(at), cy: y(value), r: at === curve.length - 1 ? 4 : 1.8 })));
  return picture;
}

addEventListener("keydown", (event) => {
  if (inField(event) || event.ctrlKey || event.metaKey || event.altKey || $("nudge").hidden || document.body.dataset.mode === "quiz") return;
  if (event.key === "n") nudge(1);
  else if (event.key === "N") nudge(10);
});
