// The quiz: gradients are filled in under their wires, and the first fault is talked about.

import { grade } from "./api.js";
import * as circuit from "./circuit.js";
import { $, make } from "./dom.js";
import { said, titled } from "./names.js";
import { copied, exact, parse } from "./numbers.js";

let told = null;
let request = null;
let asked = "";
let level = 1;
let fields = new Map();
let pose = () => {};
const LEVELS = ["one rule", "several gates", "branches and matrices"];

const pick = (choices) => choices[Math.floor(Math.random() * choices.length)];
const digit = () => pick([-4, -3, -2, -1, 1, 2, 3, 4, 5]);
const numbers = (...names) => Object.fromEntries(names.map((name) => [name, digit()]));
const table = (rows, columns) => Array.from({ length: rows }, () => Array.from({ length: columns }, digit));
const QUESTIONS = [
  [
    () => ({ expression: "f = x * y", inputs: numbers("x", "y") }),
    () => ({ expression: "f = x + y", inputs: numbers("x", "y") }),
    () => ({ expression: "f = maximum(x, y)", inputs: { x: 3, y: digit() - 5 } }),
    () => ({ expression: "f = x - y", inputs: numbers("x", "y") }),
    () => ({ expression: "f = x**2", inputs: numbers("x") }),
  ],
  [
    () => ({ expression: "q = x + y\nf = q * z", inputs: numbers("x", "y", "z") }),
    () => ({ expression: "q = x * y\nf = q + z", inputs: numbers("x", "y", "z") }),
    () => ({ expression: "q = maximum(x, y)\nf = q * z", inputs: { x: 4, y: -2, z: digit() } }),
    () => ({ expression: "f = 2 * (x * y + maximum(z, w))", inputs: { x: 3, y: -4, z: 2, w: -1 } }),
    () => ({ expression: "d = x - y\nf = d**2", inputs: numbers("x", "y") }),
  ],
  [
    () => ({ expression: "a = x * y\nf = a * x", inputs: numbers("x", "y") }),
    () => ({ expression: "a = x + y\nf = a * a", inputs: numbers("x", "y") }),
    () => ({ expression: "D = W @ X\nf = sum(D)", inputs: { W: table(2, 2), X: table(2, 2) } }),
    () => ({ expression: "a = x * y\nb = x + y\nf = a * b", inputs: numbers("x", "y") }),
  ],
];

export function onPose(callback) {
  pose = callback;
}

export function enter() {
  asked = "";
  const choices = LEVELS.map((words, place) => {
    const button = make("button", { type: "button", "aria-pressed": String(level === place + 1), "data-level": String(place + 1) }, `${place + 1} ${words}`);
    button.addEventListener("click", () => { level = place + 1; question(); });
    return button;
  });
  const check = make("button", { type: "button", id: "check", class: "main" }, "Check");
  check.addEventListener("click", judge);
  const next = make("button", { type: "button", id: "another" }, "Another");
  next.addEventListener("click", question);
  const reveal = make("button", { type: "button", id: "reveal", class: "quiet" }, "Show the answers");
  reveal.addEventListener("click", answers);
  $("quizbar").replaceChildren(
    make("div", { class: "bar", role: "group", "aria-label": "Level" }, ...choices),
    make("p", {}, "The gradients are hidden. Work them out backwards from the output, and write each under its wire."),
    make("div", { class: "bar" }, check, next, reveal),
    make("div", { id: "verdict", role: "status" }),
  );
  $("quizbar").hidden = false;
}

export function leave() {
  $("quizbar").hidden = true;
  $("fields").replaceChildren();
  fields = new Map();
}

export function question() {
  for (const button of $("quizbar").querySelectorAll("[data-level]")) button.setAttribute("aria-pressed", String(Number(button.dataset.level) === level));
  pose(pick(QUESTIONS[level - 1])());
}

// What is asked: the wires with a gradient, from the output backwards.
export function load(explained, sent) {
  told = explained;
  request = sent;
  const names = [...told.backward.map((step) => step.node).filter((node) => node !== told.output), ...Object.keys(told.gradients)];
  const mark = JSON.stringify([sent, names]);
  if (mark !== asked) {
    asked = mark;
    fields = new Map(names.map((name) => [name, field(name)]));
    $("fields").replaceChildren(...[...fields.values()].flatMap((one) => [one.input, one.mark]));
    $("verdict").textContent = "";
  }
  settle();
}

function field(name) {
  const step = told.forward.find((one) => one.node === name) ?? told.leaves.find((one) => one.node === name);
  const input = make("input", { type: "text", autocomplete: "off", id: `answer-${name}`, "aria-label": `gradient of ${titled(name)}`, "data-name": name });
  if (step && Array.isArray(step.value)) {
    input.classList.add("wide");
    input.placeholder = "[[1, 2], [3, 4]]";
  }
  input.addEventListener("focus", () => circuit.pick(name));
  input.addEventListener("blur", () => circuit.pick(null));
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") judge(); });
  return { input, mark: make("span", { class: "mark" }) };
}

// Every field under its wire.
export function settle() {
  const places = circuit.places();
  for (const [name, { input, mark }] of fields) {
    const place = places.get(name);
    input.hidden = !place;
    if (!place) continue;
    const half = input.classList.contains("wide") ? 75 : 35;
    input.style.left = `${place.x - half}px`;
    input.style.top = `${place.y - 11}px`;
    mark.style.left = `${place.x + half + 4}px`;
    mark.style.top = `${place.y - 10}px`;
  }
}

$("circuit").addEventListener("zoomed", settle);

function read(text) {
  const plain = text.trim().replaceAll("−", "-");
  if (plain === "") return undefined;
  const value = parse(plain);
  if (value !== null) return value;
  try {
    return JSON.parse(plain.replace(/(^|[[,\s])([-+]?)\.(\d)/g, "$1$20.$3"));
  } catch {
    return plain;
  }
}

// A rounded answer is right to the digits that were given.
function decimals(texts) {
  const given = texts.map((text) => /[.,](\d+)/.exec(text)?.[1].length ?? 0);
  return Math.max(0, Math.min(6, ...given.filter((count) => count > 0), 6));
}

function clear() {
  for (const [name, { input, mark }] of fields) {
    mark.className = "mark";
    mark.textContent = "";
    input.removeAttribute("aria-invalid");
    circuit.mark(name, false);
  }
}

async function judge() {
  clear();
  const gradients = {};
  const texts = [];
  for (const [name, { input }] of fields) {
    const given = read(input.value);
    if (given === undefined) continue;
    gradients[name] = given;
    texts.push(input.value);
  }
  const tolerance = { metric: "rounding", decimals: Math.min(2, decimals(texts)) || 2 };
  const asking = { graph: request.graph, inputs: request.inputs, tolerance, reveal: "diagnosis", submission: { gradients } };
  let result;
  try {
    result = await grade(asking);
  } catch (error) {
    $("verdict").textContent = error.message;
    return;
  }
  let right = 0;
  let wrong = 0;
  const verdicts = new Map((result.nodes ?? []).map((node) => [node.node, node]));
  for (const [name, { input, mark }] of fields) {
    const node = verdicts.get(name);
    if (!(name in gradients) || !node) continue;
    if (node.verdict === "correct") {
      right += 1;
      mark.className = "mark right";
      mark.textContent = "✓";
    } else if (node.verdict === "carried_forward") {
      mark.textContent = "→";
      mark.title = "follows from your own, which was wrong";
    } else {
      wrong += 1;
      mark.className = "mark wrong";
      mark.textContent = "✕";
      input.setAttribute("aria-invalid", "true");
      circuit.mark(name, true);
    }
  }
  const open = fields.size - Object.keys(gradients).length;
  const follows = Object.keys(gradients).length - right - wrong;
  const counts = [`${right} right`, `${wrong} wrong`, ...(follows ? [`${follows} following from a wrong one`] : []), ...(open ? [`${open} open`] : [])];
  const first = [...fields.keys()].map((name) => verdicts.get(name)).find((node) => node && node.node in gradients && !["correct", "carried_forward"].includes(node.verdict));
  const reason = first && said(first.diagnoses?.[0]?.message ?? first.reason ?? "");
  $("verdict").replaceChildren(make("b", {}, counts.join(", ")), ...(reason ? [make("p", { class: "note" }, `${titled(first.node)}: ${reason}`)] : []));
}

function answers() {
  clear();
  for (const [name, { input }] of fields) {
    let truth = told.gradients[name];
    for (const step of told.backward) for (const edge of step.edges) if (edge.input === name) truth = edge.accumulated;
    if (truth !== undefined) input.value = Array.isArray(truth) ? copied(truth) : exact(truth);
  }
  $("verdict").textContent = "These are the answers.";
}
