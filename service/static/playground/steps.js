// Stepping through both passes, wire by wire, with a sentence for each step.

import { $, make } from "./dom.js";
import { reveal } from "./circuit.js";
import { tensor } from "./numbers.js";

let steps = [];
let at = 0;
let explained = null;
let timer = null;
let changed = () => {};

const base = (name) => name.replace(/\.\d+$/, "");

function planned(told) {
  const plan = [{ kind: "start", lines: ["The inputs have their values. Step forward to compute the gates one by one, and then to send the gradient back."], code: [] }];
  for (const step of told.forward) {
    plan.push({ kind: "forward", node: step.node, lines: [`Forward ${step.step}: ${step.sentence}`], code: step.code });
  }
  plan.push({ kind: "seed", node: told.output, lines: [`Now backwards. The gradient of ${told.output} on itself is ${told.note ? "1 for every element" : "1"}.`], code: [] });
  for (const step of told.backward) {
    step.edges.forEach((edge, place) => {
      const lines = [`Backward ${step.step}, gate ${step.node}: ${step.sentence}`];
      const local = edge.local_gradient === undefined ? null : tensor(edge.local_gradient);
      const product = local === null ? "" : `${local} × ${tensor(step.upstream)} = `;
      lines.push(`Wire to ${edge.input}: ${product}${tensor(edge.contribution)}`);
      if (edge.accumulation) lines.push(edge.accumulation);
      if (edge.dimensions) lines.push(edge.dimensions);
      plan.push({ kind: "backward", node: step.node, edge, place, lines, code: edge.code ? [edge.code] : step.code });
    });
  }
  plan.push({ kind: "end", lines: ["Done: every wire has its value and its gradient."], code: [] });
  return plan;
}

export function load(told) {
  const atEnd = !steps.length || at === steps.length - 1;
  const same = explained && told.forward.length === explained.forward.length;
  explained = told;
  steps = planned(told);
  at = atEnd || !same ? steps.length - 1 : Math.min(at, steps.length - 1);
  render();
}

export function onChange(callback) {
  changed = callback;
}

export function go(to) {
  at = Math.max(0, Math.min(steps.length - 1, to));
  render();
}

export const toEnd = () => go(steps.length - 1);

function render() {
  if (!steps.length) return;
  const state = {
    valued: new Set(explained.leaves.map((leaf) => leaf.node)),
    sent: new Set(), sums: new Map(), gates: new Set(), wires: new Set(), stems: new Set(),
  };
  for (const step of steps.slice(0, at + 1)) {
    if (step.kind === "forward") state.valued.add(step.node);
    if (step.kind === "seed") state.sums.set(base(step.node), 1);
    if (step.kind === "backward") {
      state.sent.add(`${step.node}:${step.edge.input_index}`);
      state.sums.set(base(step.edge.input), step.edge.accumulated);
    }
  }
  const end = at === steps.length - 1;
  if (end) {
    // Leaves that no gradient reaches have zero.
    for (const [name, gradient] of Object.entries(explained.gradients)) {
      if (!state.sums.has(name)) state.sums.set(name, gradient);
    }
    for (const step of explained.forward) if (!state.sums.has(step.node)) state.sums.set(step.node, 0);
  }
  const now = steps[at];
  if (now.kind === "forward" || now.kind === "backward") state.gates.add(now.node);
  if (now.kind === "seed") state.stems.add(now.node);
  if (now.kind === "forward") {
    explained.forward.find((step) => step.node === now.node).inputs.forEach((_, index) => state.wires.add(`${now.node}:${index}`));
  }
  if (now.kind === "backward") state.wires.add(`${now.node}:${now.edge.input_index}`);
  reveal(state);
  $("position").max = steps.length - 1;
  $("position").value = at;
  $("position").setAttribute("aria-valuetext", now.lines[0]);
  $("count").textContent = `${at} / ${steps.length - 1}`;
  $("first").disabled = $("back").disabled = at === 0;
  $("last").disabled = $("next").disabled = end;
  const [first, ...rest] = now.lines;
  $("sentence").replaceChildren(
    make("p", {}, first),
    ...rest.map((line) => make("p", { class: "detail" }, line)),
    ...(now.code.length ? [make("p", {}, make("code", {}, now.code.join("   ")))] : []),
  );
  changed(now.code, end);
}

function play(on) {
  clearInterval(timer);
  timer = null;
  if (on) {
    if (at === steps.length - 1) go(0);
    timer = setInterval(() => {
      go(at + 1);
      if (at === steps.length - 1) play(false);
    }, 1100);
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
  if (event.target.closest("textarea, input, [role=tab]") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (document.body.classList.contains("quizzing")) return;
  if (event.key === "ArrowRight") by(1)();
  else if (event.key === "ArrowLeft") by(-1)();
  else if (event.key === "Home") go(0);
  else if (event.key === "End") toEnd();
  else return;
  event.preventDefault();
});
