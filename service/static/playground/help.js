// What the keys do.

import { make } from "./dom.js";

const KEYS = [
  ["Ctrl K", "find an operation"],
  ["Ctrl Enter", "from the formula to the circuit"],
  ["Tab", "leave the formula; then gate by gate"],
  ["← →  Home  End", "step through both passes"],
  ["Space", "play"],
  ["↑ ↓", "a value up or down by 0.1; Shift for 1, Alt for 0.01"],
  ["Enter", "on a gate: its wire in the panel"],
  ["n  N", "nudge once, ten times"],
  ["+  −  0", "larger, smaller, fit"],
  ["g", "wires by gradient"],
  ["d", "panel below or beside"],
  ["Ctrl Z  Ctrl Shift Z", "undo, redo"],
  ["Esc", "close what is open"],
];

export function helpText() {
  const table = make("table");
  for (const [keys, does] of KEYS) table.append(make("tr", {}, make("td", {}, make("kbd", {}, keys)), make("td", {}, does)));
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => close.closest("dialog").close());
  return [
    make("h2", {}, "What this page does"),
    make("p", {}, "Write a formula in Python’s words: names, + − * / **, @, calls such as exp(x), one assignment a line. Each line becomes gates; every wire shows its value above and, below it, the gradient of the result. Nothing that you write is executed as a program."),
    table,
    close,
  ];
}
