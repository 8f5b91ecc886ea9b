// All operations, searched by name, spelling or what they do, each with its circuit.

import { diagram, operators } from "./api.js";
import { $, make } from "./dom.js";
import { hold, insert } from "./editor.js";

const FREQUENT = [["+", " + "], ["−", " - "], ["×", " * "], ["/", " / "], ["**", "**"], ["max", "maximum(x, y)"], ["exp", "exp(x)"], ["log", "log(x)"], ["σ", "sigmoid(x)"], ["tanh", "tanh(x)"], ["@", " @ "], ["sum", "sum(x)"]];
const dialog = $("catalogue");
let all = [];
let shown = [];
let at = 0;

const call = (one) => `${one.name}(${one.inputs.slice(0, Math.max(one.arity.min, 1)).join(", ") || "x"})`;
const words = (one) => [one.name, ...one.aliases, ...one.aliases.map((alias) => `np.${alias}`), `np.${one.name}`, one.summary, one.group, one.formula ?? ""].join(" ").toLowerCase();

export async function load() {
  for (const [label, text] of FREQUENT) {
    const button = make("button", { type: "button", title: text.trim() }, label);
    button.addEventListener("click", () => insert(text));
    $("frequent").append(button);
  }
  const found = await operators();
  all = found.operators.filter((one) => one.group !== "leaf");
  const button = make("button", { type: "button", class: "all" }, `all ${all.length}`);
  button.addEventListener("click", () => open());
  $("frequent").append(button);
  return new Set(all.flatMap((one) => [one.name, ...one.aliases]));
}

export function open(search = "") {
  hold();
  $("search").value = search;
  dialog.showModal();
  list();
  $("search").focus();
}

function list() {
  const wanted = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const rank = (one) => (one.name === wanted[0] ? 0 : one.aliases.includes(wanted[0]) ? 1 : one.name.startsWith(wanted[0] ?? "") ? 2 : 3);
  shown = all.filter((one) => wanted.every((word) => words(one).includes(word)));
  shown.sort((a, b) => rank(a) - rank(b));
  at = 0;
  $("found").replaceChildren(...shown.map((one, place) => {
    const item = make("li", { role: "option", id: `op-${one.name}`, "aria-selected": "false" }, make("b", {}, one.name), make("span", {}, one.summary));
    item.addEventListener("click", () => { if (at === place) take(); else move(place); });
    return item;
  }));
  move(0);
}

function move(to) {
  at = Math.max(0, Math.min(shown.length - 1, to));
  [...$("found").children].forEach((item, place) => item.setAttribute("aria-selected", String(place === at)));
  $("found").children[at]?.scrollIntoView({ block: "nearest" });
  if (shown[at]) $("search").setAttribute("aria-activedescendant", `op-${shown[at].name}`);
  about();
}

async function about() {
  const one = shown[at];
  if (!one) {
    $("about").replaceChildren(make("p", { class: "legend" }, "Nothing is called so, or described so."));
    return;
  }
  const button = make("button", { type: "button", class: "main" }, `Insert ${call(one)}`);
  button.addEventListener("click", take);
  const lines = [["", one.summary], ["value", one.formula], ["gradient", one.gradient_formula], ["at kinks", one.kinks]].filter(([, text]) => text);
  const attributes = Object.entries(one.attributes ?? {}).map(([name, told]) => make("div", { class: "legend" }, `${name}: ${told.description ?? ""}`));
  const picture = make("div");
  $("about").replaceChildren(make("h2", {}, one.name), ...lines.map(([kind, text]) => make("div", {}, kind && make("span", { class: "legend" }, `${kind}: `), kind ? make("code", {}, text) : text)), ...attributes, picture, button);
  const names = one.inputs.slice(0, Math.max(one.arity.min, 1));
  try {
    const svg = await diagram({ graph: { expression: `f = ${one.name}(${names.join(", ")})` }, values: false });
    if (shown[at] !== one) return;
    const drawn = new DOMParser().parseFromString(svg.replace(/<style>[^<]*<\/style>/, ""), "image/svg+xml").documentElement;
    picture.replaceChildren(document.importNode(drawn, true));
  } catch {
    // Some need attributes or inputs of a shape: these have no picture.
  }
}

function take() {
  const one = shown[at];
  dialog.close();
  if (one) insert(call(one));
}

$("catalogue-open").addEventListener("click", () => open());
$("search").addEventListener("input", list);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") move(at + 1);
  else if (event.key === "ArrowUp") move(at - 1);
  else if (event.key === "Enter") take();
  else return;
  event.preventDefault();
});
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (!dialog.open) open();
  }
});
for (const one of document.querySelectorAll("dialog")) one.addEventListener("click", (event) => { if (event.target === one) one.close(); });
