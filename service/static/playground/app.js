// The playground: what is written goes to the service, what comes back is shown at once.

import { diagram, explain, Problem, useKey } from "./api.js";
import * as circuit from "./circuit.js";
import { $, make, named, tabs } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { firstFault } from "./json.js";
import { long, shape } from "./numbers.js";
import * as quiz from "./quiz.js";
import { asCurl, asJson, asPython, copy, fromHash, toHash } from "./share.js";
import * as steps from "./steps.js";

const state = { mode: "expression", text: "", inputs: {} };
const remembered = {}; // values of inputs that a graph no longer has, or not yet
let shown = null; // the request whose answer is on the page
let answer = null;
let running = false;
let again = false;

// Asking -------------------------------------------------------------------------------------

class Wrong extends Error {
  constructor(message, line, column) {
    super(message);
    this.errors = [{ detail: message, line, column }];
  }
}

function request() {
  if (state.mode === "expression") {
    return { graph: { expression: state.text }, inputs: state.inputs };
  }
  let graph;
  try {
    graph = JSON.parse(state.text);
  } catch {
    const before = state.text.slice(0, firstFault(state.text)).split("\n");
    throw new Wrong("this is not JSON from here on", before.length, before.at(-1).length + 1);
  }
  if (graph && typeof graph === "object" && "graph" in graph) {
    return { graph: graph.graph, inputs: { ...graph.inputs, ...state.inputs } };
  }
  return { graph, inputs: state.inputs };
}

// Ask until every input has a value and none is given in vain.
async function ask() {
  for (let turn = 0; ; turn += 1) {
    const asking = request();
    try {
      const [told, svg] = await Promise.all([explain(asking), diagram(asking)]);
      return { asking, told, svg };
    } catch (error) {
      if (turn > 3 || !(error instanceof Problem) || !mended(error)) throw error;
    }
  }
}

// Whether the values could be brought in line with what the graph wants.
function mended(problem) {
  let changes = 0;
  for (const fault of problem.errors) {
    if (fault.code === "missing_input") {
      state.inputs[fault.node] = remembered[fault.node] ?? 1;
      changes += 1;
    } else if (fault.code === "unused_input" && fault.node in state.inputs) {
      remembered[fault.node] = state.inputs[fault.node];
      delete state.inputs[fault.node];
      changes += 1;
    }
  }
  return changes > 0;
}

async function update() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  do {
    again = false;
    try {
      const { asking, told, svg } = await ask();
      if (!again || performance.now() - painted > 60) paint(asking, told, svg);
    } catch (error) {
      if (!again) complain(error);
    }
  } while (again);
  running = false;
  remember();
}

let painted = 0;

function paint(asking, told, svg) {
  const begun = performance.now();
  shown = asking;
  answer = told;
  complain(null);
  circuit.stale(false);
  circuit.show(svg, told, setInput);
  showInputs(told);
  showCode(told.code ?? "");
  showGradients(told);
  $("latex").textContent = told.latex ?? "";
  const value = make("b", {}, long(told.value));
  $("result").replaceChildren(make("span", {}, named(told.output)), " = ", value, told.note ? ` (${told.note})` : "");
  steps.load(told);
  if (quizzing()) steps.toEnd();
  quiz.load(told, asking);
  painted = performance.now();
  document.body.dataset.painted = String(Number(document.body.dataset.painted ?? 0) + 1);
  performance.measure("paint", { start: begun, end: painted });
}

let saving = null;

function remember() {
  clearTimeout(saving);
  saving = setTimeout(() => history.replaceState(null, "", toHash(state)), 300);
}

// Errors -------------------------------------------------------------------------------------

function complain(error) {
  const text = $("text");
  if (!error) {
    $("errors").replaceChildren();
    text.removeAttribute("aria-invalid");
    circuit.blame([]);
    for (const field of document.querySelectorAll("#inputs [aria-invalid]")) field.removeAttribute("aria-invalid");
    return;
  }
  $("key").hidden = ![401, 403].includes(error.status);
  circuit.stale(true);
  const faults = error.errors?.length ? error.errors : [{ detail: error.message }];
  $("errors").replaceChildren(...faults.slice(0, 8).map(described));
  const names = faults.map((fault) => fault.node).filter(Boolean);
  circuit.blame(names);
  const ofInput = faults.filter((fault) => (fault.pointer ?? "").startsWith("/inputs/"));
  for (const fault of ofInput) {
    const name = fault.pointer.split("/")[2].replaceAll("~1", "/").replaceAll("~0", "~");
    document.querySelector(`#inputs [data-name="${CSS.escape(name)}"]`)?.setAttribute("aria-invalid", "true");
  }
  if (ofInput.length < faults.length) text.setAttribute("aria-invalid", "true");
}

function described(fault) {
  const place = [];
  const { line, column } = placed(fault);
  if (line) place.push(`Line ${line}${column ? `, column ${column}` : ""}`);
  else if (fault.node) place.push(`Node ${fault.node}`);
  const box = make("div", { class: "problem" }, place.length ? make("b", {}, `${place[0]}: `) : "", fault.detail);
  if (fault.hint) box.append(make("div", { class: "hint" }, fault.hint));
  if (line) {
    const written = state.text.split("\n")[line - 1] ?? "";
    const pre = make("pre", {}, written);
    if (column) pre.append("\n" + " ".repeat(column - 1), make("span", { class: "caret" }, "^"));
    box.append(pre);
  }
  return box;
}

// Where in the text a fault is: the service says it of source text, of JSON its pointer does.
function placed(fault) {
  if (fault.line) return fault;
  if (state.mode !== "json" || !fault.node) return {};
  const wanted = JSON.stringify(fault.node);
  const lines = state.text.split("\n");
  const line = lines.findIndex((one) => one.includes('"id"') && one.includes(wanted));
  return line < 0 ? {} : { line: line + 1, column: lines[line].indexOf(wanted) + 1 };
}

// Values -------------------------------------------------------------------------------------

function setInput(name, value) {
  state.inputs[name] = value;
  const field = document.querySelector(`#inputs [data-name="${CSS.escape(name)}"][type="number"]`);
  if (field) sync(field.parentElement, value);
  update();
}

function sync(box, value) {
  for (const field of box.querySelectorAll("input")) {
    if (field === document.activeElement && field.type === "number") continue;
    widen(field, value);
    field.value = value;
  }
}

// A slider always has room on both sides of its value.
function widen(field, value) {
  if (field.type !== "range") return;
  const reach = Math.max(10, 2 ** Math.ceil(Math.log2(Math.abs(value) * 1.25 + 1e-9)));
  if (!field.max || Math.abs(value) > Number(field.max)) {
    field.max = reach;
    field.min = -reach;
    field.step = reach / 1000;
  }
}

let known = "";

function showInputs(told) {
  const order = Object.keys(state.inputs);
  const place = (leaf) => (order.indexOf(leaf.node) + 1 || Infinity);
  const leaves = told.leaves.filter((leaf) => leaf.kind === "input");
  leaves.sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  const mark = JSON.stringify(leaves.map((leaf) => [leaf.node, leaf.shape, typeof leaf.value]));
  if (mark !== known) {
    known = mark;
    $("inputs").replaceChildren(...leaves.map(inputRow));
  }
  for (const leaf of leaves) {
    const box = document.querySelector(`#inputs [data-of="${CSS.escape(leaf.node)}"]`);
    const gradient = told.gradients[leaf.node];
    const said = box.querySelector(".of");
    const dims = leaf.shape.length ? [make("span", { class: "shape" }, `(${leaf.shape.join(", ")})  `)] : [];
    said.replaceChildren(...dims, quizzing() || gradient === undefined ? "" : `gradient ${long(gradient)}`);
    if (typeof leaf.value === "number") sync(box, leaf.value);
    else {
      const area = box.querySelector("textarea");
      if (area && area !== document.activeElement) area.value = matrix(leaf.value);
    }
  }
}

function inputRow(leaf) {
  const name = make("span", { class: "name", title: leaf.node }, named(leaf.node));
  const said = make("span", { class: "of" });
  if (typeof leaf.value === "number") {
    const slider = make("input", { type: "range", "aria-label": `${leaf.node}, slider`, "data-name": leaf.node });
    const field = make("input", { type: "number", step: "any", "aria-label": leaf.node, "data-name": leaf.node });
    widen(slider, leaf.value);
    slider.value = field.value = leaf.value;
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(4));
      field.value = value;
      setInput(leaf.node, value);
    });
    field.addEventListener("input", () => {
      if (field.value === "" || !Number.isFinite(field.valueAsNumber)) return;
      setInput(leaf.node, field.valueAsNumber);
    });
    return make("div", { class: "input", "data-of": leaf.node }, name, slider, field, said);
  }
  const rows = String(Math.min(6, Math.max(1, leaf.shape.length > 1 ? leaf.shape[0] : 1)));
  const area = make("textarea", { rows, spellcheck: "false", "aria-label": leaf.node, "data-name": leaf.node });
  area.addEventListener("input", () => {
    try {
      state.inputs[leaf.node] = JSON.parse(area.value);
      area.removeAttribute("aria-invalid");
      update();
    } catch {
      area.setAttribute("aria-invalid", "true");
    }
  });
  return make("div", { class: "input tensor", "data-of": leaf.node }, name, area, said);
}

// A matrix with a line for every row.
function matrix(x) {
  const plain = JSON.stringify(x);
  return shape(x).length === 2 ? plain.replaceAll("],[", "],\n [") : plain;
}

// Results ------------------------------------------------------------------------------------

function showCode(code) {
  const lines = code.replace(/\n$/, "").split("\n");
  $("code").replaceChildren(...lines.map((line) => {
    const comment = line.startsWith("#");
    return make("span", comment ? { class: "comment" } : {}, line);
  }));
}

steps.onChange((lines, end) => {
  let first = null;
  for (const span of $("code").children) {
    const text = span.textContent.split("  #(")[0].trimEnd();
    const now = !end && lines.includes(text);
    span.classList.toggle("now", now);
    first ??= now ? span : null;
  }
  if (first && !$("pane-code").hidden) {
    const pane = $("code");
    pane.scrollTop = Math.max(0, first.offsetTop - pane.offsetTop - pane.clientHeight / 2);
  }
});

function showGradients(told) {
  const table = make("table", { class: "list" });
  table.append(make("tr", {}, ...["node", "value", "gradient"].map((head) => make("th", { scope: "col" }, head))));
  const sums = new Map(Object.entries(told.gradients));
  for (const step of told.backward) for (const edge of step.edges) sums.set(edge.input, edge.accumulated);
  sums.set(told.output, told.note ? "1 for every element" : 1);
  for (const node of [...told.leaves, ...told.forward]) {
    const gradient = sums.get(node.node);
    table.append(make("tr", {},
      make("td", {}, named(node.node)),
      make("td", { class: "v" }, long(node.value)),
      make("td", { class: "g" }, gradient === undefined ? "" : long(gradient))));
  }
  const warnings = (told.warnings ?? []).map((one) => make("p", { class: "problem" }, one.detail));
  $("pane-gradients").replaceChildren(...warnings, table);
}

const PANES = ["code", "gradients", "latex", "quiz"];
const selectPane = tabs(PANES.map((name) => $(`tab-${name}`)), (button) => pane(button.id.slice(4)));

const quizzing = () => document.body.classList.contains("quizzing");

function pane(name) {
  selectPane($(`tab-${name}`));
  for (const one of PANES) $(`pane-${one}`).hidden = one !== name;
  document.body.classList.toggle("quizzing", name === "quiz");
  $("stepper").hidden = name === "quiz";
  if (answer) {
    steps.toEnd();
    circuit.light(null);
    showInputs(answer);
  }
}

// Writing ------------------------------------------------------------------------------------

const selectMode = tabs([$("as-expression"), $("as-json")], (button) => {
  const mode = button.id === "as-json" ? "json" : "expression";
  if (mode === state.mode) return;
  if (mode === "json") {
    write({ mode, text: JSON.stringify({ expression: state.text }, null, 2), inputs: state.inputs });
  } else {
    let text = "";
    try {
      const graph = JSON.parse(state.text);
      text = (graph.graph ?? graph).expression ?? "";
    } catch {
      // What isn't JSON can't be carried over.
    }
    write({ mode, text: text || EXAMPLES[0].expression, inputs: state.inputs });
  }
});

function write(next) {
  for (const [name, value] of Object.entries(state.inputs)) remembered[name] = value;
  Object.assign(state, { mode: next.mode, text: next.text, inputs: { ...next.inputs } });
  const text = $("text");
  text.value = next.text;
  text.rows = Math.min(16, Math.max(4, next.text.split("\n").length + 1));
  selectMode($(next.mode === "json" ? "as-json" : "as-expression"));
  mark();
  update();
}

function mark() {
  EXAMPLES.forEach((example, place) => {
    const same = state.mode === "expression" && state.text === example.expression;
    $("examples").children[place].setAttribute("aria-current", String(same));
  });
}

$("text").addEventListener("input", () => {
  state.text = $("text").value;
  mark();
  update();
});

for (const example of EXAMPLES) {
  const button = make("button", { type: "button", title: example.title }, example.name);
  button.addEventListener("click", () => write({ mode: "expression", text: example.expression, inputs: example.inputs }));
  $("examples").append(button);
}

// Tools --------------------------------------------------------------------------------------

const COPIES = {
  url: () => new URL(toHash(state), location.href).href,
  curl: () => asCurl(shown),
  python: () => asPython(shown),
  json: () => asJson(shown),
  code: () => answer.code,
  latex: () => answer.latex,
};

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = COPIES[button.dataset.copy]();
    try {
      await copy(text);
      $("copied").textContent = "Copied.";
    } catch {
      $("copied").textContent = "The browser did not allow it.";
    }
    document.body.dataset.copied = text;
  });
}

$("download").addEventListener("click", () => {
  const link = make("a", { download: "circuit.svg" });
  link.href = URL.createObjectURL(new Blob([circuit.svgText()], { type: "image/svg+xml" }));
  link.click();
  URL.revokeObjectURL(link.href);
});

$("fit").addEventListener("click", () => {
  const fits = $("fit").getAttribute("aria-pressed") !== "true";
  circuit.fit(fits);
  $("fit").setAttribute("aria-pressed", String(fits));
});
circuit.fit(true);

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key-text").value);
  $("key").hidden = true;
  update();
});

addEventListener("hashchange", () => {
  const found = fromHash(location.hash);
  if (found && toHash(found) !== toHash(state)) write(found);
});

const [first] = EXAMPLES;
write(fromHash(location.hash) ?? { mode: "expression", text: first.expression, inputs: first.inputs });
