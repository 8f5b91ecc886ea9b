// Stepping through both passes, wire by wire, with one sentence for each step.

import { $, inField, make } from "./dom.js";
import { reveal } from "./circuit.js";
import { said, titled } from "./names.js";
import { tensor } from "./numbers.js";

const SECONDS = 1.1;
let steps = [];
let at = 0;
let explained = null;
let timer = null;
let changed = () => {};

// After the last step comes the whole picture.
const total = () => steps.length + 1;
const base = (name) => name.replace(/\.\d+$/, "");

// `drawn` are the nodes of the picture: what was drawn as a part of another is no step.
function planned(told, drawn) {
  const plan = [];
  for (const step of told.forward) {
    if (drawn.has(step.node)) plan.push({ kind: "forward", node: step.node, words: step.sentence, code: step.code });
  }
  for (const step of told.backward) {
    if (!drawn.has(step.node)) continue;
    step.edges.forEach((edge) => {
      const sums = [];
      if (edge.local_gradient !== undefined && !Array.isArray(edge.local_gradient)) {
        sums.push(`${titled(edge.input)}: ${tensor(edge.local_gradient)} × ${tensor(step.upstream)} = ${tensor(edge.contribution)}`);
      } else sums.push(`${titled(edge.input)}: ${tensor(edge.contribution)}`);
      if (edge.accumulation) sums.push(edge.accumulation);
      if (edge.dimensions) sums.push(edge.dimensions);
      plan.push({ kind: "backward", node: step.node, edge, words: step.sentence, sums, code: edge.code ? [edge.code] : step.code });
    });
  }
  return plan;
}

export function load(told, drawn) {
  const atEnd = at === total();
  const same = explained && told.forward.length === explained.forward.length && explained.output === told.output;
  explained = told;
  steps = planned(told, drawn);
  at = atEnd || !same ? total() : Math.min(at, total());
  segments();
  render();
}

export function onChange(callback) {
  changed = callback;
}

export function go(to) {
  at = Math.max(0, Math.min(total(), to));
  render();
}

export const toEnd = () => go(total());
export const isAtEnd = () => at === total();

function segments() {
  const kinds = steps.map((step) => step.kind);
  const forward = kinds.filter((kind) => kind === "forward").length;
  // One segment a step, as long as they can be told apart.
  const shown = steps.length <= 60 ? kinds : [];
  $("segments").replaceChildren(...shown.map(() => make("i")), ...(shown.length ? [make("i")] : []));
  $("passes").firstElementChild.style.width = steps.length ? `${Math.max(12, (100 * forward) / steps.length)}%` : "";
}

function known() {
  const state = {
    valued: new Set(explained.leaves.map((leaf) => leaf.node)),
    sent: new Set(), sums: new Map(), gates: new Set(), wires: new Set(), stems: new Set(), wholes: new Set(),
  };
  const forward = steps.filter((step) => step.kind === "forward").length;
  for (const step of explained.forward) if (!steps.some((one) => one.node === step.node)) state.valued.add(step.node);
  for (const step of steps.slice(0, at)) {
    if (step.kind === "forward") state.valued.add(step.node);
    else {
      state.sent.add(`${step.node}:${step.edge.input_index}`);
      state.sums.set(base(step.edge.input), step.edge.accumulated);
    }
  }
  if (at >= forward && explained.backward.length) state.sums.set(base(explained.output), 1);
  if (at === total()) {
    // What no gradient reaches has zero.
    for (const [name, gradient] of Object.entries(explained.gradients)) if (!state.sums.has(name)) state.sums.set(name, gradient);
    for (const step of explained.forward) if (!state.sums.has(step.node)) state.sums.set(step.node, 0);
  }
  const now = steps[at - 1];
  if (now) mark(state, now);
  return state;
}

function mark(state, now) {
  state.gates.add(now.node);
  if (now.kind === "forward") {
    state.stems.add(now.node);
    explained.forward.find((step) => step.node === now.node).inputs.forEach((_, index) => state.wires.add(`${now.node}:${index}`));
  } else {
    // The whole wire, from the gate back to where it comes from.
    state.wires.add(`${now.node}:${now.edge.input_index}`);
    state.stems.add(base(now.edge.input));
  }
}

const OPENING = "Step forward to compute the gates one by one, and then to send the gradient back.";

function ending() {
  const names = Object.keys(explained.gradients).slice(0, 3);
  const words = [`A gradient says how much `, make("var", {}, explained.output), " changes per unit change of that wire."];
  if (names.length) words.push(` Drag ${names.join(names.length > 2 ? ", " : " or ")}, or step through from the start.`);
  return words;
}

function render() {
  if (!explained) return;
  reveal(known());
  const end = at === total();
  const now = steps[at - 1];
  $("position").max = total();
  $("position").value = at;
  $("count").textContent = `${at} of ${total()}`;
  $("first").disabled = $("back").disabled = at === 0;
  $("last").disabled = $("next").disabled = end;
  [...$("segments").children].forEach((one, place) => { one.className = place < at ? (steps[place]?.kind ?? "backward") : ""; });
  const sentence = $("sentence");
  if (end) sentence.replaceChildren(...ending());
  else if (!now) sentence.replaceChildren(OPENING);
  else {
    sentence.replaceChildren(said(now.words));
    if (now.sums) sentence.append(make("div", { class: "sum" }, now.sums.map(said).join(" · ")));
  }
  $("position").setAttribute("aria-valuetext", sentence.textContent);
  const forward = steps.filter((step) => step.kind === "forward").length;
  changed({
    end, lines: end || !now ? [] : now.code,
    valued: new Set(steps.slice(0, at).map((step) => step.node)), resulted: at >= forward,
    graded: new Set(steps.slice(0, at).filter((step) => step.kind === "backward").map((step) => base(step.edge.input))),
  });
}

export function play(on) {
  clearInterval(timer);
  timer = null;
  if (on) {
    if (at === total()) go(0);
    timer = setInterval(() => {
      go(at + 1);
      if (at === total()) play(false);
    }, SECONDS * 1000);
  }
  $("play").setAttribute("aria-pressed", String(Boolean(timer)));
  $("play").textContent = timer ? "Pause" : "Play";
}

const by = (step) => () => { play(false); go(at + step); };
$("first").addEventListener("click", () => { play(false); go(0); });
$("last").addEventListener("click", () => { play(false); toEnd(); });
$("back").addEventListener("click", by(-1));
$("next").addEventListener("click", by(1));
$("play").addEventListener("click", () => play(!timer));
$("position").addEventListener("input", () => { play(false); go(Number($("position").value)); });
addEventListener("keydown", (event) => {
  if (inField(event) || event.target.closest?.("[role=tab], input") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (document.body.dataset.mode === "quiz") return;
  if (event.key === " " && !event.target.closest("button, a, summary")) play(!timer);
  else if (event.key === "ArrowRight") by(1)();
  else if (event.key === "ArrowLeft") by(-1)();
  else if (event.key === "Home") go(0);
  else if (event.key === "End") toEnd();
  else return;
  event.preventDefault();
});
