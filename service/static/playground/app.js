// The page: what is written goes to the service, what comes back is shown at once.

import { diagram, explain, Problem, useKey } from "./api.js";
import * as catalogue from "./catalogue.js";
import * as circuit from "./circuit.js";
import { $, inField, isPhone, make, named } from "./dom.js";
import * as editor from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { helpText } from "./help.js";
import { constants, nearOperation } from "./hints.js";
import { firstFault } from "./json.js";
import { matrix } from "./matrices.js";
import { isNamed, learn, said, titled } from "./names.js";
import { exact, isFinite, number, shape, tensor } from "./numbers.js";
import * as nudge from "./nudge.js";
import * as panel from "./panel.js";
import * as quiz from "./quiz.js";
import { asCurl, asJavaScript, asJson, asJulia, asPython, asPythonClient, asR, copy, fromHash, toHash } from "./share.js";
import { labelsOf, valuesFor } from "./shapes.js";
import { canRedo, canUndo, keep, lastWork, redo, remember, state, undo } from "./state.js";
import * as steps from "./steps.js";
import * as tour from "./tour.js";
import * as values from "./values.js";

const TYPING_MILLISECONDS = 120;
const BUSY_MILLISECONDS = 400;
const LONG_MILLISECONDS = 3000;
const remembered = {}; // values of inputs that a formula no longer has, or not yet
const automatic = new Set(); // the inputs whose values nobody chose
let operations = new Set();
let shown = null; // the request whose answer is on the page
let answer = null;
let running = null;
let again = false;
let work = null; // what was written before the tour or the quiz
let start = null; // the formula and values that Reset goes back to
let lastReadable = "";

const mode = () => document.body.dataset.mode;
const asText = () => state.mode === "expression";

// Asking -------------------------------------------------------------------------------------

class Wrong extends Error {
  constructor(fault) {
    super(fault.detail);
    this.errors = [fault];
  }
}

function request() {
  if (asText()) return { graph: { expression: state.text }, inputs: { ...constants(state.text, state.inputs), ...state.inputs } };
  let graph;
  try {
    graph = JSON.parse(state.text);
  } catch {
    const before = state.text.slice(0, firstFault(state.text)).split("\n");
    throw new Wrong({ detail: "this is not JSON from here on", line: before.length, column: before.at(-1).length + 1 });
  }
  if (graph && typeof graph === "object" && "graph" in graph) return { ...graph, inputs: { ...graph.inputs, ...state.inputs } };
  return { graph, inputs: state.inputs };
}

// Ask until every input has a value and none is given in vain.
async function ask(signal) {
  if (asText()) guess([], (name) => !Array.isArray(state.inputs[name]));
  for (let turn = 0; ; turn += 1) {
    const asking = request();
    try {
      const [told, svg] = await Promise.all([explain(asking, signal), diagram(asking, signal)]);
      return { asking, told, svg };
    } catch (error) {
      if (turn > 5 || !(error instanceof Problem) || !mended(error)) throw error;
    }
  }
}

const alike = (a, b) => JSON.stringify(shape(a)) === JSON.stringify(shape(b));

// Whether the values could be brought in line with what the formula wants.
function mended(problem) {
  const missing = problem.errors.filter((fault) => fault.code === "missing_input").map((fault) => fault.node);
  for (const name of missing) {
    if (operations.has(name) && !(name in remembered)) throw new Wrong({ detail: nearOperation(name, operations), ...placeOf(name) });
  }
  let changed = false;
  for (const fault of problem.errors) {
    if (fault.code !== "unused_input" || !(fault.node in state.inputs)) continue;
    remembered[fault.node] = state.inputs[fault.node];
    delete state.inputs[fault.node];
    changed = true;
  }
  if (missing.length) {
    for (const name of missing) automatic.add(name);
    return guess(missing, (name) => !Array.isArray(state.inputs[name])) || changed;
  }
  if (changed) return true;
  // Values that nobody chose may change their shape, and numbers become what is needed now.
  if (!problem.errors.some((fault) => /shape|dimension|axis|rank|operand|label/.test(`${fault.code} ${fault.detail}`))) return false;
  if (guess([])) return true;
  for (const [name, value] of Object.entries(state.inputs)) if (!Array.isArray(value)) automatic.add(name);
  return guess([]);
}

// Give values to what is `missing`, and to the inputs that nobody set as far as `open` says so.
function guess(missing, open = () => true) {
  const text = asText() ? state.text : "";
  const mine = Object.keys(state.inputs).filter((name) => automatic.has(name) && open(name));
  const wanted = [...mine, ...missing];
  const known = Object.fromEntries(Object.entries(state.inputs).filter(([name]) => !mine.includes(name)).map(([name, value]) => [name, shape(value)]));
  const made = valuesFor(text, wanted, known);
  let changed = false;
  for (const name of wanted) {
    const before = state.inputs[name] ?? remembered[name];
    if (before !== undefined && alike(before, made[name])) made[name] = before;
    if (!missing.includes(name) && (alike(state.inputs[name], made[name]) || !Array.isArray(made[name]))) continue;
    state.inputs[name] = made[name];
    changed = true;
  }
  return changed;
}

function placeOf(name) {
  const lines = state.text.split("\n");
  const line = lines.findIndex((one) => new RegExp(`(?<!\\w)${name}(?!\\w)`).test(one));
  return line < 0 ? {} : { line: line + 1, column: lines[line].search(new RegExp(`(?<!\\w)${name}(?!\\w)`)) + 1 };
}

async function update() {
  $("empty").hidden = true;
  if (asText() && !state.text.trim()) {
    blank();
    return;
  }
  if (running) {
    again = true;
    return;
  }
  running = new AbortController();
  const slow = [setTimeout(() => { $("busy").hidden = false; }, BUSY_MILLISECONDS), setTimeout(() => $("busy").classList.add("long"), LONG_MILLISECONDS)];
  do {
    again = false;
    try {
      const { asking, told, svg } = await ask(running.signal);
      if (!again || performance.now() - painted > 60) paint(asking, told, svg);
    } catch (error) {
      if (!again && error.name !== "AbortError") complain(error);
    }
  } while (again);
  running = null;
  slow.forEach(clearTimeout);
  $("busy").hidden = true;
  $("busy").classList.remove("long");
  $("undo").disabled = !canUndo();
  $("redo").disabled = !canRedo();
  remember();
}

let painted = 0;

function paint(asking, told, svg) {
  shown = asking;
  answer = told;
  lastReadable = state.text;
  editor.quiet();
  learn(told);
  circuit.stale(false);
  circuit.blame([]);
  circuit.show(svg, told, setInput, panel.choose);
  panel.dock();
  panel.load(told, asking, labelsOf(state.text));
  result(told);
  notFinite(told);
  suggest();
  circuit.thicken($("wires").value === "gradient");
  const drawn = new Set([...document.querySelectorAll("#circuit [data-node]")].map((node) => node.dataset.node));
  steps.load(told, drawn);
  if (mode() === "quiz") steps.toEnd();
  const floats = panel.floats(asking);
  const data = floats.filter((name) => /^[Xty]$/.test(name) && Array.isArray(asking.inputs[name]));
  nudge.load(told, floats, data, JSON.stringify(asking.graph));
  if (mode() === "quiz") quiz.load(told, asking);
  if (mode() === "tour") tour.load(told, asking, steps.isAtEnd());
  asked();
  painted = performance.now();
  document.body.dataset.painted = String(Number(document.body.dataset.painted ?? 0) + 1);
}

function result(told) {
  const box = $("result");
  box.classList.remove("stale");
  const value = Array.isArray(told.value) ? matrix(told.value, "value") : make("span", { class: isFinite(told.value) ? "value" : "broken", title: exact(told.value) }, number(told.value));
  const name = isNamed(told.output) ? named(told.output) : titled(told.output);
  box.replaceChildren(name, " = ", value);
  if (told.note) {
    const sum = make("button", { type: "button", class: "link" }, "sum");
    const mean = make("button", { type: "button", class: "link" }, "mean");
    sum.addEventListener("click", () => reduce("sum"));
    mean.addEventListener("click", () => reduce("mean"));
    box.append(make("span", { class: "legend" }, ` ${told.note}. Make it a number: `, sum, " ", mean));
  }
}

function reduce(how) {
  keep("reduce");
  const name = answer.output;
  write({ mode: "expression", text: `${state.text.trimEnd()}\n${how === "sum" ? "total" : "average"} = ${how}(${isNamed(name) ? name : "output"})`, inputs: state.inputs });
}

function notFinite(told) {
  const [first] = told.warnings ?? [];
  $("finite").hidden = !first;
  if (!first) return;
  const step = told.forward.find((one) => one.node === first.node);
  const given = step?.inputs.map((one) => `${one.node === undefined ? "" : `${titled(one.node)} = `}${tensor(one.node === undefined ? one.literal : one.value)}`).join(", ");
  const words = step ? `${step.op} received ${given}. ${REMEDIES[step.op] ?? ""}` : "";
  $("finite").replaceChildren(make("b", {}, "! "), `${said(first.detail)}. `, words, ...(first.hint ? [" ", make("span", { class: "suggestion" }, first.hint)] : []));
}

const REMEDIES = {
  log: "Keep it above 0, for instance log(x + 1e-9).",
  divide: "Keep the divisor away from 0, for instance x / (y + 1e-9).",
  reciprocal: "Keep it away from 0.",
  sqrt: "Keep it above 0, for instance sqrt(x + 1e-9).",
  exp: "Keep it small: exp grows beyond all numbers at 710.",
};

// What may not be what was meant, with a way to say so.
function suggest() {
  const made = [];
  if (asText()) {
    for (const [name, value] of Object.entries(constants(state.text, state.inputs))) {
      const write = () => rewrite(new RegExp(`(?<![\\w.])${name}(?![\\w(.])`, "g"), `np.${name}`);
      const input = () => { keep("input"); setInput(name, 1); };
      made.push(editor.hint(`${name} is read as the number ${number(value)}.`, [[`Write np.${name}`, write], ["Make it an input", input]]));
    }
    for (const name of Object.keys(state.inputs)) {
      const near = nearOperation(name, operations);
      if (near?.endsWith("?")) made.push(editor.hint(`${name} is an input. Did you mean ${near}`, [[`Write ${near.slice(0, -1)}`, () => rewrite(new RegExp(`(?<!\\w)${name}(?!\\w)`, "g"), near.slice(0, -1))]]));
    }
  }
  const dead = answer.leaves.filter((leaf) => leaf.kind === "input" && leaf.node in answer.gradients && !labelsOf(state.text).has(leaf.node) && [answer.gradients[leaf.node]].flat(Infinity).every((one) => one === 0));
  if (dead.length && dead.length === Object.keys(answer.gradients).length) made.push(editor.hint(`No gradient reaches ${dead.map((leaf) => leaf.node).join(", ")}: the formula is flat here.`, []));
  $("hints").replaceChildren(...made);
}

function rewrite(pattern, words) {
  keep("rewrite");
  write({ mode: "expression", text: state.text.replace(pattern, words), inputs: state.inputs });
}

function blank() {
  editor.quiet();
  for (const [name, value] of Object.entries(state.inputs)) remembered[name] = value;
  state.inputs = {};
  $("empty").hidden = false;
  circuit.stale(true);
  const choices = EXAMPLES.map((example) => {
    const button = make("button", { type: "button" }, example.name);
    button.addEventListener("click", () => choose(example));
    return button;
  });
  $("empty").replaceChildren(make("p", {}, "Type a formula, for instance x*y + 2"), make("div", { class: "bar" }, ...choices));
}

// Errors -------------------------------------------------------------------------------------

function complain(error) {
  $("key").hidden = ![401, 403].includes(error.status);
  const faults = (error.errors?.length ? error.errors : [{ detail: error.message }]).map((fault) => ({ ...fault, ...placed(fault) }));
  editor.complain(faults, state.text, () => {
    circuit.stale(true);
    $("result").classList.add("stale");
    if (lastReadable && lastReadable !== state.text) $("result").replaceChildren(make("span", { class: "legend" }, "The circuit is that of the last readable formula."));
    circuit.blame(faults.map((fault) => fault.node).filter(Boolean));
  });
}

document.body.addEventListener("left-editor", () => update());

// Where in the text a fault is: the service says it of source text, of JSON its pointer does.
function placed(fault) {
  if (fault.line || asText() || !fault.node) return {};
  const wanted = JSON.stringify(fault.node);
  const lines = state.text.split("\n");
  const line = lines.findIndex((one) => one.includes('"id"') && one.includes(wanted));
  return line < 0 ? {} : { line: line + 1, column: lines[line].indexOf(wanted) + 1 };
}

// Values -------------------------------------------------------------------------------------

function setInput(name, value) {
  keep(`value ${name}`);
  state.inputs[name] = value;
  automatic.delete(name);
  values.set(name, value);
  update();
}

values.onChange(setInput);

function showInputs(gradients) {
  const order = Object.keys(state.inputs);
  const leaves = answer.leaves.filter((leaf) => !(leaf.node in constants(state.text, state.inputs)));
  values.show(leaves, order, gradients, labelsOf(state.text));
}

steps.onChange((known) => {
  const open = known.end && mode() !== "quiz" && !(mode() === "tour" && tour.stop().hidden.some(tour.isHidden));
  showInputs(open ? answer.gradients : null);
  $("result").style.visibility = known.end || known.resulted ? "" : "hidden";
  panel.follow(known);
  tour.stepped(known.end);
});

nudge.onMove(async (moves) => {
  keep("nudge");
  for (const [name, [gradient, move]] of Object.entries(moves)) state.inputs[name] = move(state.inputs[name], gradient);
  await update();
  return typeof answer.value === "number" ? answer.value : null;
}, () => turn(undo()));

// Writing ------------------------------------------------------------------------------------

function write(next) {
  for (const [name, value] of Object.entries(state.inputs)) remembered[name] = value;
  Object.assign(state, { mode: next.mode, text: next.text, inputs: structuredClone(next.inputs) });
  $("text").value = next.text;
  editor.fit();
  mark();
  return update();
}

function choose(example) {
  keep("example");
  unset(example.inputs);
  start = { mode: "expression", text: example.expression, inputs: example.inputs };
  $("examples-menu").open = false;
  write(start);
  if (mode() === "explore") history.pushState(null, "", toHash(state));
}

// These values come with the formula; nobody set them.
function unset(inputs) {
  automatic.clear();
  for (const name of Object.keys(inputs)) automatic.add(name);
}

function mark() {
  EXAMPLES.forEach((example, place) => {
    $("examples").children[place].setAttribute("aria-current", String(asText() && state.text === example.expression));
  });
}

let typing = null;

$("text").addEventListener("input", () => {
  keep("text");
  state.text = $("text").value;
  state.mode = /^\s*[{[]/.test(state.text) ? "json" : "expression";
  $("lead").hidden = true;
  editor.fit();
  mark();
  clearTimeout(typing);
  typing = setTimeout(update, TYPING_MILLISECONDS);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("circuit").focus();
  }
});

function turn(next) {
  if (next) write(next);
  $("undo").disabled = !canUndo();
  $("redo").disabled = !canRedo();
}

$("undo").addEventListener("click", () => turn(undo()));
$("redo").addEventListener("click", () => turn(redo()));
$("reset").addEventListener("click", () => {
  if (!start) return;
  keep("reset");
  write({ ...state, inputs: { ...state.inputs, ...Object.fromEntries(Object.entries(start.inputs).filter(([name]) => name in state.inputs)) } });
});

for (const example of EXAMPLES) {
  const button = make("button", { type: "button", title: example.title }, example.name);
  button.addEventListener("click", () => choose(example));
  $("examples").append(button);
}

// Modes --------------------------------------------------------------------------------------

function pose(question) {
  unset(question.inputs);
  start = { mode: "expression", text: question.expression, inputs: question.inputs };
  write(start);
  steps.toEnd();
}

quiz.onPose(pose);
tour.onPose(pose);
document.body.addEventListener("answered", () => { if (answer) { asked(); steps.toEnd(); } });

// In the tour the gradient that is asked for shows a question mark.
function asked() {
  const hidden = mode() === "tour" ? tour.stop().hidden.filter(tour.isHidden) : [];
  document.body.classList.toggle("asking", hidden.length > 0);
  for (const label of document.querySelectorAll("#circuit .label")) {
    if (!hidden.includes(label.dataset.source)) continue;
    for (const gradient of label.querySelectorAll("text.gradient")) gradient.textContent = "?";
    for (const gradient of label.querySelectorAll("g.gradient")) gradient.remove();
  }
}

function enter(next, stop) {
  if (mode() === "explore" && next !== "explore") work = structuredClone(state);
  document.body.dataset.mode = next;
  document.body.classList.toggle("hiding", next === "quiz");
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.mode === next) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  panel.choose(null);
  quiz.leave();
  tour.leave();
  delete document.body.dataset.stepped;
  if (next === "quiz") {
    quiz.enter();
    quiz.question();
  } else if (next === "tour") tour.enter(stop);
  else if (work) {
    write(work);
    work = null;
  }
  circuit.fit();
}

function route() {
  const { hash } = location;
  const stop = /^#tour\/(\d+)/.exec(hash);
  if (stop) enter("tour", Number(stop[1]));
  else if (hash === "#quiz") enter("quiz");
  else if (hash === "#explore" || !hash) enter("explore");
  else {
    const found = fromHash(hash);
    if (!found) return;
    if (mode() !== "explore") { work = null; enter("explore"); }
    if (toHash(found) !== toHash(state)) { keep("address"); start = found; write(found); }
  }
}

addEventListener("hashchange", route);
addEventListener("popstate", route);

// Tools --------------------------------------------------------------------------------------

const COPIES = {
  url: () => new URL(toHash(state), location.href).href,
  curl: () => asCurl(shown),
  python: () => asPython(shown),
  client: () => asPythonClient(shown),
  javascript: () => asJavaScript(shown),
  r: () => asR(shown),
  julia: () => asJulia(shown),
  json: () => asJson(shown),
};

async function copyOut(text) {
  try {
    await copy(text);
    $("copied").textContent = "Copied.";
  } catch {
    $("copied").textContent = "The browser did not allow it.";
  }
  document.body.dataset.copied = text;
  setTimeout(() => { $("copied").textContent = ""; }, 4000);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => { copyOut(COPIES[button.dataset.copy]()); button.closest("details").open = false; });
}
$("copy-pane").addEventListener("click", () => copyOut(panel.text()));

function download(name, blob) {
  const link = make("a", { download: name });
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

$("save-svg").addEventListener("click", () => download("circuit.svg", new Blob([circuit.svgText()], { type: "image/svg+xml" })));
$("save-png").addEventListener("click", async () => {
  const picture = new Image();
  picture.src = `data:image/svg+xml;base64,${btoa(String.fromCharCode(...new TextEncoder().encode(circuit.svgText())))}`;
  await picture.decode();
  const canvas = make("canvas");
  canvas.width = picture.width * 2;
  canvas.height = picture.height * 2;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => download("circuit.png", blob));
});

$("smaller").addEventListener("click", () => circuit.zoomBy(1 / 1.25));
$("larger").addEventListener("click", () => circuit.zoomBy(1.25));
$("fit").addEventListener("click", () => circuit.fit());
$("wires").addEventListener("change", () => { if (answer) circuit.thicken($("wires").value === "gradient"); });

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // It holds until the page is closed.
  }
});

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key-text").value);
  $("key").hidden = true;
  update();
  load();
});

$("help").append(...helpText());
const help = () => { if (!$("help").open) $("help").showModal(); };
$("help-open").addEventListener("click", help);
addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
addEventListener("keydown", (event) => {
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key.toLowerCase() === "z" && (!inField(event) || event.target === $("text"))) {
    event.preventDefault();
    turn(event.shiftKey ? redo() : undo());
    return;
  }
  if (inField(event) || control || event.altKey) return;
  const act = { "?": help, "+": () => circuit.zoomBy(1.25), "-": () => circuit.zoomBy(1 / 1.25), 0: circuit.fit, d: panel.turn, g: () => { $("wires").value = $("wires").value === "plain" ? "gradient" : "plain"; $("wires").dispatchEvent(new Event("change")); } }[event.key];
  if (act) act();
});

function load() {
  catalogue.load().then((names) => { operations = names; }, () => {});
}

if (new URLSearchParams(location.search).has("embed")) document.body.classList.add("embedded");
load();
const [first] = EXAMPLES;
start = { mode: "expression", text: first.expression, inputs: first.inputs };
const given = fromHash(location.hash);
if (given) { start = given; $("lead").hidden = true; } else unset(start.inputs);
write(given ?? start);
const last = lastWork();
if (!given && last && toHash(last) !== toHash(state)) {
  const resume = make("button", { type: "button", class: "link" }, "Go on with your last formula");
  resume.addEventListener("click", () => { keep("resume"); write(last); resume.parentElement.remove(); });
  $("lead").append(" ", make("span", { class: "legend" }, resume));
}
if (/^#(tour|quiz)/.test(location.hash)) route();
if (isPhone()) editor.fit();
