// The quiz: gradients are filled in, and the grader says what is wrong with them.

import { grade } from "./api.js";
import { light } from "./circuit.js";
import { $, make, named } from "./dom.js";
import { long } from "./numbers.js";

let explained = null;
let request = null;
let fields = new Map();
let asked = "";

const WORDS = {
  correct: "✓ right",
  carried_forward: "✓ follows from your own gradients, which were wrong before",
  wrong: "✗ wrong",
  inconsistent: "✗ right, but it doesn't follow from your other gradients",
  missing: "✗ missing",
  wrong_shape: "✗ wrong shape",
  not_finite: "✗ not a finite number",
};

// Gates from the output backwards, then the inputs.
function wanted(told) {
  const gates = told.backward.map((step) => step.node).filter((node) => node !== told.output);
  return [...gates, ...Object.keys(told.gradients)];
}

export function load(told, sent) {
  explained = told;
  request = sent;
  const names = wanted(told);
  const mark = JSON.stringify([sent.graph, names]);
  if (mark === asked) {
    clearMarks();
    return;
  }
  asked = mark;
  fields = new Map();
  $("verdict").textContent = "";
  $("answers").replaceChildren(...names.map((name) => {
    const step = told.forward.find((one) => one.node === name);
    const input = make("input", { id: `answer-${name}`, inputmode: "text", autocomplete: "off", placeholder: step ? "optional" : "" });
    const mark = make("span", { class: "mark" });
    const label = make("label", { for: `answer-${name}` }, "d", named(name));
    if (step) label.append(make("div", { class: "formula mono" }, step.code[0] ?? ""));
    input.addEventListener("focus", () => light(name));
    input.addEventListener("blur", () => light(null));
    fields.set(name, { input, mark });
    return make("div", { class: "answer" }, label, input, mark);
  }));
}

function clearMarks() {
  for (const { input, mark } of fields.values()) {
    mark.textContent = "";
    mark.className = "mark";
    input.removeAttribute("aria-invalid");
  }
  $("verdict").textContent = "";
}

function read(text) {
  const plain = text.trim().replaceAll("−", "-");
  if (plain === "") return undefined;
  try {
    return JSON.parse(plain.replace(/(^|[[,\s])([-+]?)\.(\d)/g, "$1$20.$3").replace(/^\+/, ""));
  } catch {
    return plain;
  }
}

async function check(event) {
  event.preventDefault();
  clearMarks();
  const gradients = {};
  for (const [name, { input }] of fields) {
    const given = read(input.value);
    if (given !== undefined) gradients[name] = given;
  }
  const asking = {
    graph: request.graph,
    inputs: request.inputs,
    tolerance: { metric: "rounding", decimals: 2 },
    reveal: "diagnosis",
    submission: { gradients },
  };
  let result;
  try {
    result = await grade(asking);
  } catch (error) {
    $("verdict").textContent = error.message;
    return;
  }
  $("verdict").textContent = result.message;
  for (const node of result.nodes ?? []) {
    const field = fields.get(node.node);
    if (!field || (!(node.node in gradients) && node.max_points === 0)) continue;
    field.mark.className = `mark ${node.verdict}`;
    field.mark.textContent = WORDS[node.verdict] ?? node.verdict;
    if (!["correct", "carried_forward"].includes(node.verdict)) field.input.setAttribute("aria-invalid", "true");
    const reason = node.diagnoses?.[0]?.message ?? node.reason;
    if (reason) field.mark.append(make("div", { class: "diagnosis" }, reason));
  }
}

$("quiz").addEventListener("submit", check);
$("reveal").addEventListener("click", () => {
  clearMarks();
  for (const [name, { mark }] of fields) {
    const truth = explained.gradients[name] ?? accumulated(name);
    mark.textContent = truth === undefined ? "" : `= ${long(truth)}`;
  }
});

function accumulated(name) {
  let found;
  for (const step of explained.backward) {
    for (const edge of step.edges) if (edge.input === name) found = edge.accumulated;
  }
  return found;
}
