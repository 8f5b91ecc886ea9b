// The panel: a wire, the staged code, the gradients with their check, the formula.

import { check } from "./api.js";
import * as circuit from "./circuit.js";
import { $, isPhone, make, named, tabs } from "./dom.js";
import { matrix } from "./matrices.js";
import { titled } from "./names.js";
import { copied, exact, flat, number, shape, sizes, tensor } from "./numbers.js";

const NAMES = ["values", "wire", "code", "gradients", "formula"];
let told = null;
let sent = null;
let labels = new Set(); // the inputs that are class numbers
let open = "code";
let chosen = null;
let checked = null; // the request whose check is on the page
let pinned = null;

const select = tabs(NAMES.map((name) => $(`tab-${name}`)), (button) => show(button.id.slice(4)));

export function show(name) {
  open = name;
  select($(`tab-${name}`));
  for (const one of NAMES) $(`pane-${one}`).hidden = one !== name;
  if (told) fill();
}

export function load(explained, request, classes) {
  told = explained;
  labels = classes;
  sent = request;
  if (chosen && !find(chosen)) choose(null);
  code();
  fill();
}

function fill() {
  if (open === "gradients") gradients();
  if (open === "formula") formula();
  if (open === "wire") wire();
}

// Code -------------------------------------------------------------------------------------

function code() {
  const lines = (told.code ?? "").replace(/\n$/, "").split("\n");
  const start = lines.findIndex((line) => line.startsWith("# forward"));
  const helpers = lines.slice(0, Math.max(0, start));
  const count = helpers.filter((line) => /^\s|^def /.test(line)).length;
  const parts = [];
  if (count > 0) {
    const folded = make("details", {}, make("summary", {}, `${count} lines of helpers`), ...helpers.map((line) => make("span", {}, line)));
    parts.push(folded);
  } else parts.push(...helpers.filter((line) => line && !line.startsWith("import")).map(written));
  parts.push(...lines.slice(Math.max(0, start)).map(written));
  $("code").replaceChildren(...parts);
}

function written(line) {
  const plain = line.replace(/\s+#\(\d+\)$/, "");
  const target = /^(\w+)(?:\[.*\])? \+?= /.exec(plain)?.[1];
  const value = target === undefined ? undefined : valueOf(target);
  const shown = value === undefined ? "" : make("b", { class: value.kind, title: Array.isArray(value.x) ? copied(value.x) : exact(value.x) }, tensor(value.x));
  const span = make("span", line.startsWith("#") ? { class: "comment" } : {}, make("span", {}, plain), shown);
  span.dataset.line = plain.trimEnd();
  return span;
}

// What a variable of the staged code holds at the end.
function valueOf(variable) {
  const step = told.forward.find((one) => one.node === variable) ?? told.leaves.find((one) => one.node === variable);
  if (step) return { x: step.value, kind: "value" };
  const name = variable.startsWith("d") ? variable.slice(1) : null;
  const sum = name && gradientOf(name);
  return sum === undefined || !name ? undefined : { x: sum, kind: "gradient" };
}

// Mark the lines of the present step; the numbers of later ones are not there yet.
export function follow({ end, lines, valued, graded }) {
  let first = null;
  for (const span of $("code").querySelectorAll("[data-line]")) {
    const { line } = span.dataset;
    const now = !end && lines.some((one) => one.trimEnd() === line);
    span.classList.toggle("now", now);
    first ??= now ? span : null;
    const shown = span.querySelector("b");
    if (!shown) continue;
    const target = /^\w+/.exec(line)[0];
    const leaf = told.leaves.some((one) => one.node === target);
    shown.hidden = !end && !leaf && !(shown.className === "value" ? valued.has(target) : graded.has(target.slice(1)));
  }
  if (first && open === "code") first.scrollIntoView({ block: "nearest" });
}

// Gradients --------------------------------------------------------------------------------

export function gradientOf(name) {
  if (name === told.output) return told.note ? undefined : 1;
  let found = told.gradients[name];
  for (const step of told.backward) for (const edge of step.edges) if (edge.input === name) found = edge.accumulated;
  return found;
}

function gradients() {
  const table = make("table");
  table.append(make("tr", {}, ...["input", "shape", "value", "gradient", "differences"].map((head) => make("th", { scope: "col" }, head))));
  for (const leaf of told.leaves.filter((one) => one.node in told.gradients)) {
    table.append(make("tr", { "data-input": leaf.node },
      make("td", {}, named(leaf.node)), make("td", {}, sizes(leaf.shape) || "number"),
      make("td", {}, matrix(leaf.value, "value")), make("td", {}, matrix(told.gradients[leaf.node], "gradient")),
      make("td", { class: "checked" }, "…")));
  }
  $("pane-gradients").replaceChildren(table, make("p", { class: "legend" }, "The last column holds each gradient against finite differences of the values."));
  compare();
}

// Ask for finite differences, once for the request that is shown.
async function compare() {
  const request = sent;
  let found;
  try {
    const wrt = Object.keys(told.gradients).filter((name) => !labels.has(name));
    found = checked?.request === request ? checked : { request, answer: await check({ ...request, output: told.output, wrt }) };
  } catch (error) {
    found = { request, error };
  }
  checked = found;
  if (request !== sent) return;
  for (const row of $("pane-gradients").querySelectorAll("[data-input]")) {
    const told = found.answer?.inputs?.[row.dataset.input];
    const cell = row.querySelector(".checked");
    if (!told) cell.textContent = found.error ? "not compared" : "";
    else if (told.passed === null || told.checked === 0) cell.textContent = told.verdict ?? "nothing could be compared";
    else cell.textContent = `${told.passed ? "✓ agrees" : "✕ differs"}${told.errors?.absolute === null || told.errors?.absolute === undefined ? "" : ` (${number(told.errors.absolute)})`}`;
  }
}

// Formula ----------------------------------------------------------------------------------

let renderer = null;

function formula() {
  const pane = $("pane-formula");
  const source = told.latex ?? "";
  renderer ??= new Promise((done, failed) => {
    const script = make("script", { src: "static/vendor/temml/temml.min.js" });
    script.onload = () => done(globalThis.temml);
    script.onerror = failed;
    document.head.append(script);
  });
  renderer.then((temml) => {
    const holder = make("div");
    temml.render(source, holder, { displayMode: true, throwOnError: false });
    pane.replaceChildren(holder);
  }, () => pane.replaceChildren(make("pre", {}, source)));
}

// Wire -------------------------------------------------------------------------------------

const find = (name) => told.forward.find((one) => one.node === name) ?? told.leaves.find((one) => one.node === name);

export function choose(name) {
  chosen = name;
  circuit.pick(name);
  $("tab-wire").hidden = name === null;
  if (name === null) {
    if (open === "wire") show("code");
    return;
  }
  $("tab-wire").replaceChildren("Wire ", make("i", {}, titled(name)));
  show("wire");
}

function wire() {
  const step = chosen && find(chosen);
  if (!step) return;
  circuit.pick(chosen);
  const dims = shape(step.value);
  const of = dims.length ? `, ${sizes(dims)}` : "";
  const parts = [make("div", {}, make("h3", {}, "value ", make("var", {}, titled(chosen)), of), matrix(step.value, "value"))];
  const sum = gradientOf(chosen);
  if (sum !== undefined && !document.body.classList.contains("hiding")) {
    parts.push(make("div", {}, make("h3", {}, "gradient d", make("var", {}, titled(chosen)), of), matrix(sum, "gradient")));
    const rules = told.backward.flatMap((one) => one.edges).filter((edge) => edge.input === chosen && edge.code);
    if (rules.length) {
      const written = rules.flatMap((edge) => [make("code", {}, edge.code), make("br"), make("span", { class: "legend" }, edge.dimensions ?? ""), make("br")]);
      parts.push(make("div", {}, make("h3", {}, "rule"), ...written));
    }
  }
  $("pane-wire").replaceChildren(...parts);
}

addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen && !document.querySelector("dialog[open]")) choose(null); });

// What is copied of the tab that is open.
export function text() {
  if (open === "formula") return told.latex ?? "";
  if (open === "gradients") return JSON.stringify(told.gradients);
  if (open === "wire") return JSON.stringify({ value: find(chosen)?.value, gradient: gradientOf(chosen) });
  return told.code ?? "";
}

// Where the panel stands -----------------------------------------------------------------------

try {
  pinned = localStorage.getItem("dock");
} catch {
  // Without storage the page decides by itself.
}

// Below, where the circuit would be too small beside it; the reader's own choice wins.
export function dock() {
  if (isPhone()) return;
  const beside = innerWidth - 320 - 316 - 48;
  const below = pinned ? pinned === "below" : circuit.isTight(beside);
  if (document.body.classList.contains("below") !== below) {
    document.body.classList.toggle("below", below);
    circuit.fit();
  }
}

export function turn() {
  pinned = document.body.classList.contains("below") ? "beside" : "below";
  try {
    localStorage.setItem("dock", pinned);
  } catch {
    // It holds until the page is closed.
  }
  dock();
}

$("dock").addEventListener("click", turn);
addEventListener("resize", dock);
if (isPhone()) show("values");

export const floats = (request) => Object.keys(told.gradients).filter((name) => !labels.has(name) && name in request.inputs && flat(request.inputs[name]).every((one) => typeof one === "number"));
