// The drawing: put into the page, zoomed, marked, hovered, and dragged.

import { $, make } from "./dom.js";
import { exact, norm, tensor } from "./numbers.js";
import { nudged } from "./values.js";

const SMALLEST = 0.9; // labels of 12.5 px are not drawn below 11
const LARGEST = 1.92;
const holder = $("circuit");
const card = $("card");
let told = null; // what /v1/explain said of the graph that is drawn
let source = "";
let drawn = { width: 1, height: 1, svg: null };
let scale = 1;
let fitted = true;
let drag = null;
let choose = () => {};

const base = (name) => name.replace(/\.\d+$/, "");
const items = (selector) => holder.querySelectorAll(selector);

export function show(svg, explained, onDrag, onChoose) {
  source = svg;
  told = explained;
  drag = onDrag;
  choose = onChoose;
  // The page's own style sheet takes the place of the picture's.
  const plain = svg.replace(/<style>[^<]*<\/style>/, "");
  const parsed = document.importNode(new DOMParser().parseFromString(plain, "image/svg+xml").documentElement, true);
  const focused = document.activeElement?.closest?.("#circuit [data-node]")?.dataset.node;
  const [left, top] = [holder.scrollLeft, holder.scrollTop];
  drawn = { width: Number(parsed.getAttribute("width")), height: Number(parsed.getAttribute("height")), svg: parsed };
  parsed.removeAttribute("role");
  parsed.removeAttribute("aria-labelledby");
  for (const title of parsed.querySelectorAll("title, desc")) title.remove();
  holder.replaceChildren(parsed);
  zoom(fitted ? fitting() : scale);
  holder.scrollTo(left, top);
  for (const node of items("[data-node]")) {
    const leaf = told.leaves.find((one) => one.node === node.dataset.node);
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", leafOf(leaf) ? "slider" : "img");
    if (leafOf(leaf)) {
      node.classList.add("scalar");
      node.setAttribute("aria-valuenow", leaf.value);
    }
    node.setAttribute("aria-label", spoken(node.dataset.node));
    if (node.dataset.node === focused) node.focus({ preventScroll: true });
  }
  const output = holder.querySelector(`.label[data-source="${CSS.escape(base(explained.output))}"]:not([data-target])`);
  for (const one of output?.querySelectorAll(".gradient") ?? []) one.classList.add("given");
  markNotFinite();
  hide();
}

// Zoom -------------------------------------------------------------------------------------

// The scale at which the circuit fits, without being too small to read.
export function fitting(width = holder.clientWidth, height = holder.clientHeight) {
  const full = Math.min((width - 8) / drawn.width, (height - 8) / drawn.height);
  return Math.max(SMALLEST, Math.min(LARGEST, full));
}

// Whether the circuit would have to be smaller than is readable to fit this width.
export const isTight = (width) => (width - 8) / drawn.width < SMALLEST;

function zoom(to) {
  scale = Math.max(0.3, Math.min(4, to));
  drawn.svg?.setAttribute("width", String(drawn.width * scale));
  drawn.svg?.setAttribute("height", String(drawn.height * scale));
  drawn.svg?.setAttribute("preserveAspectRatio", "xMidYMid meet");
  survey();
  holder.dispatchEvent(new Event("zoomed"));
}

export function zoomBy(factor) {
  fitted = false;
  zoom(Math.max(SMALLEST * 0.88, scale * factor));
}

export function fit() {
  fitted = true;
  if (drawn.svg) zoom(fitting());
}

new ResizeObserver(() => { if (fitted && drawn.svg) zoom(fitting()); else survey(); }).observe(holder);

// The overview, while only a part of the circuit is seen.
function survey() {
  const box = $("overview");
  const seen = holder.scrollWidth <= holder.clientWidth + 2 && holder.scrollHeight <= holder.clientHeight + 2;
  box.hidden = seen || !drawn.svg;
  if (box.hidden) return;
  if (box.of !== drawn.svg) {
    box.of = drawn.svg;
    const small = drawn.svg.cloneNode(true);
    for (const one of small.querySelectorAll("[tabindex]")) one.removeAttribute("tabindex");
    box.replaceChildren(small, make("div"));
  }
  const frame = box.lastChild;
  const part = (at, whole, size) => `${Math.max(0, Math.min(1, at / whole)) * size}px`;
  frame.style.left = part(holder.scrollLeft, holder.scrollWidth, 160);
  frame.style.top = part(holder.scrollTop, holder.scrollHeight, 90);
  frame.style.width = part(holder.clientWidth, holder.scrollWidth, 160);
  frame.style.height = part(holder.clientHeight, holder.scrollHeight, 90);
}

holder.addEventListener("scroll", () => { survey(); hide(); holder.dispatchEvent(new Event("zoomed")); }, { passive: true });
$("overview").addEventListener("pointerdown", (event) => {
  const box = $("overview");
  const go = (at) => {
    const area = box.getBoundingClientRect();
    holder.scrollLeft = ((at.clientX - area.left) / 160) * holder.scrollWidth - holder.clientWidth / 2;
    holder.scrollTop = ((at.clientY - area.top) / 90) * holder.scrollHeight - holder.clientHeight / 2;
  };
  go(event);
  box.setPointerCapture(event.pointerId);
  box.onpointermove = go;
  box.onpointerup = () => { box.onpointermove = null; };
});

export const svgText = () => source;
export const size = () => ({ ...drawn });

export function stale(is) {
  holder.classList.toggle("stale", is);
  if (is) hide();
}

// Telling -----------------------------------------------------------------------------------

function steps(name) {
  return {
    forward: told?.forward.find((step) => step.node === name),
    backward: told?.backward.find((step) => step.node === name),
  };
}

const hiding = () => document.body.classList.contains("hiding");

function spoken(name) {
  const { forward, backward } = steps(name);
  if (!forward) {
    const leaf = told?.leaves.find((one) => one.node === name);
    return leaf ? `${name} = ${tensor(leaf.value)}` : name;
  }
  return `${forward.sentence} ${hiding() || !backward ? "" : backward.sentence}`;
}

function tell(node) {
  const name = node.dataset.node;
  const { forward, backward } = steps(name);
  const parts = [];
  if (forward) {
    parts.push(make("div", {}, forward.sentence));
    if (backward && !hiding()) {
      const formula = backward.gradient_formula ? ` · ${backward.gradient_formula}` : "";
      parts.push(make("div", {}, make("b", {}, backward.pattern), formula));
      const table = make("table");
      table.append(row("th", ["to", "local gradient", "× upstream", "= contribution"]));
      for (const edge of backward.edges) {
        const local = edge.local_gradient === undefined ? edge.code ?? "" : tensor(edge.local_gradient);
        table.append(row("td", [edge.input, local, tensor(backward.upstream), tensor(edge.contribution)]));
      }
      parts.push(table);
    }
  } else {
    const leaf = told?.leaves.find((one) => one.node === name);
    if (!leaf) return;
    const written = Array.isArray(leaf.value) ? tensor(leaf.value) : exact(leaf.value);
    parts.push(make("div", {}, `${name} = ${written}`));
    if (!hiding() && name in told.gradients) {
      const gradient = told.gradients[name];
      parts.push(make("div", {}, `gradient ${Array.isArray(gradient) ? tensor(gradient) : exact(gradient)}`));
    }
    if (leafOf(leaf)) parts.push(make("div", {}, "drag to change it"));
  }
  card.replaceChildren(...parts);
  card.hidden = false;
  const box = node.getBoundingClientRect();
  const own = card.getBoundingClientRect();
  const below = box.bottom + 10 + own.height < innerHeight;
  card.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
  card.style.top = `${below ? box.bottom + 10 : Math.max(4, box.top - own.height - 10)}px`;
}

function row(kind, cells) {
  return make("tr", {}, ...cells.map((cell) => make(kind, {}, cell)));
}

const hide = () => { card.hidden = true; };
holder.addEventListener("pointerover", (event) => {
  const node = event.target.closest?.("[data-node]");
  if (node && !dragging) tell(node);
  else hide();
});
holder.addEventListener("pointerleave", hide);
holder.addEventListener("focusin", (event) => {
  const node = event.target.closest?.("[data-node]");
  if (node?.matches(":focus-visible")) tell(node);
});
holder.addEventListener("focusout", hide);
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

holder.addEventListener("click", (event) => {
  const found = event.target.closest?.(".label, path.line, [data-node]");
  if (found && !moved) choose(found.dataset.source ?? found.dataset.node);
});

// Dragging a leaf, or the paper ----------------------------------------------------------------

let dragging = null;
let moved = false;
const leafOf = (leaf) => leaf && leaf.kind === "input" && !leaf.shape.length && typeof leaf.value === "number";

function leafAt(target) {
  const group = target.closest?.("[data-node], .label.stem");
  const leaf = told?.leaves.find((one) => one.node === (group?.dataset.node ?? group?.dataset.source));
  return leafOf(leaf) ? leaf : null;
}

holder.addEventListener("pointerdown", (event) => {
  moved = false;
  if (event.button !== 0) return;
  const leaf = leafAt(event.target);
  if (leaf) dragging = { name: leaf.node, from: leaf.value, x: event.clientX, y: 0 };
  else if (event.pointerType === "mouse") dragging = { left: holder.scrollLeft, top: holder.scrollTop, x: event.clientX, y: event.clientY };
  if (leaf) event.preventDefault();
});
holder.addEventListener("pointermove", (event) => {
  if (!dragging) return;
  if (!moved && Math.hypot(event.clientX - dragging.x, dragging.name ? 0 : event.clientY - dragging.y) < 4) return;
  if (!moved) { holder.setPointerCapture(event.pointerId); hide(); }
  moved = true;
  if (!dragging.name) {
    holder.scrollTo(dragging.left + dragging.x - event.clientX, dragging.top + dragging.y - event.clientY);
    return;
  }
  const step = (event.shiftKey ? 0.002 : 0.02) * Math.max(1, Math.abs(dragging.from) / 5);
  drag?.(dragging.name, Math.round((dragging.from + (event.clientX - dragging.x) * step) * 100) / 100);
});
for (const kind of ["pointerup", "pointercancel"]) holder.addEventListener(kind, () => { dragging = null; });
holder.addEventListener("keydown", (event) => {
  const node = event.target.closest?.("[data-node]");
  if (!node) return;
  if (event.key === "Enter") choose(node.dataset.node);
  const leaf = leafAt(node);
  const step = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key];
  if (!leaf || !step) return;
  drag?.(leaf.node, nudged(leaf.value, step, event));
  event.preventDefault();
});

// Marks ------------------------------------------------------------------------------------

export function blame(names) {
  for (const node of items("[data-node]")) node.classList.toggle("bad", names.includes(node.dataset.node));
}

function markNotFinite() {
  const broken = (told.warnings ?? []).slice(0, 1).map((one) => one.node);
  for (const node of items("[data-node]")) node.classList.toggle("notfinite", broken.includes(node.dataset.node));
  for (const label of items(".label")) label.classList.toggle("notfinite", broken.includes(label.dataset.source));
}

export function mark(name, wrong) {
  for (const item of items("path.line")) {
    if (item.dataset.source === base(name)) item.classList.toggle("wrong", wrong);
  }
}

// The wire that is chosen; null for none.
export function pick(name) {
  for (const item of items("path.line")) item.classList.toggle("chosen", name !== null && item.dataset.source === base(name));
}

// Wires as thick as their gradient is large, or all alike.
export function thicken(on) {
  $("wirelegend").hidden = !on;
  const along = new Map();
  const sums = new Map([[base(told.output), 1]]);
  for (const step of told.backward) {
    for (const edge of step.edges) {
      along.set(`${step.node}:${edge.input_index}`, norm(edge.contribution));
      sums.set(base(edge.input), norm(edge.accumulated));
    }
  }
  const largest = Math.max(...along.values(), ...sums.values(), 1e-300);
  for (const line of items("path.line")) {
    const { source: from, target, inputIndex } = line.dataset;
    const size = (target ? along.get(`${target}:${inputIndex}`) : undefined) ?? sums.get(from) ?? 0;
    line.style.strokeWidth = on ? String(1.2 + 5 * Math.sqrt(size / largest)) : "";
  }
}

// Where on the page the gradients of a wire are written: for the quiz's fields.
export function places() {
  const found = new Map();
  const area = $("view").getBoundingClientRect();
  for (const label of items(".label")) {
    const written = label.querySelector(".gradient");
    if (!written || label.classList.contains("branch")) continue;
    const box = written.getBoundingClientRect();
    found.set(label.dataset.source, { x: box.left + box.width / 2 - area.left, y: box.top + box.height / 2 - area.top });
  }
  return found;
}

// Show what is known after some steps: which nodes have values, which edges have sent
// their gradient, and what has been added up at each wire.
export function reveal(state) {
  for (const label of items(".label")) {
    const { source: from, target, inputIndex } = label.dataset;
    for (const value of label.querySelectorAll(".value")) value.classList.toggle("pending", !state.valued.has(from));
    const held = state.sums.get(from);
    const sent = target ? state.sent.has(`${target}:${inputIndex}`) : held !== undefined;
    const summed = !label.classList.contains("branch") && held !== undefined;
    for (const gradient of label.querySelectorAll(".gradient")) {
      gradient.classList.toggle("pending", !(sent || summed));
      if (summed && !target && gradient.tagName === "text") gradient.textContent = tensor(held);
    }
  }
  for (const item of items("[data-node], path.line")) {
    const { node, source: from, target, inputIndex } = item.dataset;
    const lit = node ? state.gates.has(node) : state.wires.has(`${target}:${inputIndex}`) || (state.stems.has(from) && (!target || state.wholes.has(from)));
    item.classList.toggle("now", lit);
  }
}
