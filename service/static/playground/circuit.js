// The drawing: put into the page, marked, hovered, and dragged.

import { $, make } from "./dom.js";
import { long, tensor } from "./numbers.js";

const holder = $("circuit");
const tip = $("tip");
let told = null; // what /v1/explain said of the graph that is drawn
let source = "";

const key = (name) => name.replace(/\.\d+$/, "");

export function show(svg, explained, onDrag) {
  source = svg;
  told = explained;
  // The page's own style sheet takes the place of the picture's.
  const plain = svg.replace(/<style>[^<]*<\/style>/, "");
  const parsed = new DOMParser().parseFromString(plain, "image/svg+xml").documentElement;
  const focused = document.activeElement?.closest?.("#circuit [data-node]")?.dataset.node;
  const [left, top] = [holder.scrollLeft, holder.scrollTop];
  holder.replaceChildren(document.importNode(parsed, true));
  holder.scrollTo(left, top);
  fit(holder.classList.contains("fit"));
  for (const title of holder.querySelectorAll("svg g > title")) title.remove();
  for (const node of holder.querySelectorAll("[data-node]")) {
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", spoken(node.dataset.node));
    if (node.dataset.node === focused) node.focus({ preventScroll: true });
  }
  for (const label of holder.querySelectorAll(".label")) {
    if (label.dataset.source === explained.output && !label.dataset.target) {
      label.querySelector(".gradient")?.classList.add("given");
    }
  }
  drag = onDrag;
  hide();
}

// In its own size, or fitted to the width as far as the text stays legible.
export function fit(is) {
  holder.classList.toggle("fit", is);
  const drawn = holder.querySelector("svg");
  if (!drawn) return;
  const width = Number(drawn.getAttribute("width"));
  drawn.style.width = is ? `${1.4 * width}px` : "";
  drawn.style.minWidth = is ? `${0.72 * width}px` : "";
}

export const svgText = () => source;
export const clear = () => holder.replaceChildren();
export function stale(is) {
  holder.classList.toggle("stale", is);
  if (is) hide();
}

function steps(name) {
  return {
    forward: told?.forward.find((step) => step.node === name),
    backward: told?.backward.find((step) => step.node === name),
  };
}

function spoken(name) {
  const { forward, backward } = steps(name);
  if (!forward) {
    const leaf = told?.leaves.find((one) => one.node === name);
    return leaf ? `${name} = ${tensor(leaf.value)}` : name;
  }
  return `${forward.sentence} ${quiet() || !backward ? "" : backward.sentence}`;
}

const quiet = () => document.body.classList.contains("quizzing");

// Tooltips ---------------------------------------------------------------------------------

function tell(node) {
  const name = node.dataset.node;
  const { forward, backward } = steps(name);
  const parts = [];
  if (forward) {
    parts.push(make("div", {}, forward.sentence));
    if (backward && !quiet()) {
      const formula = backward.gradient_formula ? ` · ${backward.gradient_formula}` : "";
      parts.push(make("div", {}, make("b", {}, backward.pattern), formula));
      const table = make("table", {});
      table.append(row("th", ["to", "local gradient", "× upstream", "= contribution"]));
      for (const edge of backward.edges) {
        const local = edge.local_gradient === undefined ? edge.code ?? "" : tensor(edge.local_gradient);
        table.append(row("td", [edge.input, local, tensor(backward.upstream), tensor(edge.contribution)]));
      }
      parts.push(table);
    }
  } else {
    const leaf = told?.leaves.find((one) => one.node === name);
    if (!leaf) return false;
    parts.push(make("div", {}, `${name} = ${long(leaf.value)}`));
    if (!quiet() && name in told.gradients) {
      parts.push(make("div", {}, `gradient ${long(told.gradients[name])}`));
    }
    if (leaf.kind === "input" && !leaf.shape.length) parts.push(make("div", {}, "drag to change it"));
  }
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const box = node.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const below = box.bottom + 8 + own.height < innerHeight;
  tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
  tip.style.top = `${below ? box.bottom + 8 : Math.max(4, box.top - own.height - 8)}px`;
  return true;
}

function row(kind, cells) {
  return make("tr", {}, ...cells.map((cell) => make(kind, {}, cell)));
}

const hide = () => { tip.hidden = true; };
const over = (event) => {
  const node = event.target.closest?.("[data-node]");
  if (node && !dragging) tell(node);
  else hide();
};
holder.addEventListener("pointerover", over);
holder.addEventListener("pointerleave", hide);
holder.addEventListener("focusin", (event) => {
  const node = event.target.closest?.("[data-node]");
  if (node?.matches(":focus-visible")) tell(node);
});
holder.addEventListener("focusout", hide);
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
addEventListener("scroll", hide, { passive: true });

// Dragging a leaf --------------------------------------------------------------------------

let drag = null;
let dragging = null;

function leafAt(target) {
  const group = target.closest?.("[data-node], .label.stem");
  const name = group?.dataset.node ?? group?.dataset.source;
  const leaf = told?.leaves.find((one) => one.node === name);
  return leaf && leaf.kind === "input" && !leaf.shape.length && typeof leaf.value === "number" ? leaf : null;
}

holder.addEventListener("pointerdown", (event) => {
  const leaf = event.button === 0 ? leafAt(event.target) : null;
  if (!leaf) return;
  dragging = { name: leaf.node, from: leaf.value, x: event.clientX };
  holder.setPointerCapture(event.pointerId);
  hide();
  event.preventDefault();
});
holder.addEventListener("pointermove", (event) => {
  if (!dragging) return;
  const scale = (event.shiftKey ? 0.002 : 0.02) * Math.max(1, Math.abs(dragging.from) / 5);
  const value = dragging.from + (event.clientX - dragging.x) * scale;
  drag?.(dragging.name, Math.round(value * 100) / 100);
});
for (const kind of ["pointerup", "pointercancel"]) {
  holder.addEventListener(kind, () => { dragging = null; });
}
holder.addEventListener("keydown", (event) => {
  const node = event.target.closest?.("[data-node]");
  const leaf = node && leafAt(node);
  const step = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key];
  if (!leaf || !step) return;
  drag?.(leaf.node, Math.round((leaf.value + step * (event.shiftKey ? 10 : 1)) * 100) / 100);
  event.preventDefault();
});

// Marks ------------------------------------------------------------------------------------

export function blame(names) {
  for (const node of holder.querySelectorAll("[data-node]")) {
    node.classList.toggle("bad", names.includes(node.dataset.node));
  }
}

// Light up a node's gate and wire; null for none.
export function light(name) {
  const base = name === null ? null : key(name);
  for (const item of holder.querySelectorAll("[data-node], path.line")) {
    const own = item.dataset.node ?? (item.dataset.target ? null : item.dataset.source) ?? item.dataset.source;
    item.classList.toggle("now", base !== null && own === base);
  }
}

// Show what is known after some steps: which nodes have values, which edges have sent
// their gradient, and what has been added up at each wire.
export function reveal(state) {
  for (const label of holder.querySelectorAll(".label")) {
    const { source: from, target, inputIndex } = label.dataset;
    const value = label.querySelector(".value");
    const gradient = label.querySelector(".gradient");
    value?.classList.toggle("pending", !state.valued.has(from));
    if (!gradient) continue;
    const held = state.sums.get(from);
    const sent = target ? state.sent.has(`${target}:${inputIndex}`) : held !== undefined;
    const summed = !label.classList.contains("branch") && held !== undefined;
    gradient.classList.toggle("pending", !(target && !summed ? sent : sent || summed));
    if (summed && !target) gradient.textContent = tensor(held);
  }
  for (const item of holder.querySelectorAll("[data-node], path.line")) {
    const now = item.dataset.node
      ? state.gates.has(item.dataset.node)
      : state.wires.has(`${item.dataset.target}:${item.dataset.inputIndex}`) || state.stems.has(item.dataset.source);
    item.classList.toggle("now", now);
  }
}
