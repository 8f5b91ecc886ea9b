// The text field with its line numbers, and what is said of the text.

import { $, isPhone, make } from "./dom.js";

const SILENT_MILLISECONDS = 600;
const SPOKEN_MILLISECONDS = 1500;
const text = $("text");
let waiting = null;
let speaking = null;

export function fit() {
  const count = text.value.split("\n").length;
  text.rows = Math.max(isPhone() ? 1 : 2, Math.min(12, count));
  $("lines").textContent = Array.from({ length: Math.max(count, 1) }, (_, line) => line + 1).join("\n");
  $("lines").scrollTop = text.scrollTop;
}

for (const kind of ["input", "keyup", "pointerup", "blur"]) text.addEventListener(kind, () => hold());
text.addEventListener("scroll", () => { $("lines").scrollTop = text.scrollTop; });

let caret = [0, 0];

// Remember where the next insertion goes: a dialog that opens takes the selection away.
export function hold() {
  caret = [text.selectionStart, text.selectionEnd];
}

// Put `words` in place of what was selected; the first argument of a call is selected then.
export function insert(words) {
  const [start, end] = caret;
  text.focus();
  text.setRangeText(words, start, end, "end");
  const argument = /\(([^,)]+)/.exec(words);
  if (argument) {
    const from = start + argument.index + 1;
    text.setSelectionRange(from, from + argument[1].length);
  }
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

export function quiet() {
  clearTimeout(waiting);
  clearTimeout(speaking);
  $("errors").replaceChildren();
  $("spoken").textContent = "";
  text.removeAttribute("aria-invalid");
}

// Say what is wrong, not before a pause in the typing; `shown` is called when it is said.
export function complain(faults, written, shown) {
  clearTimeout(waiting);
  clearTimeout(speaking);
  const say = () => {
    $("errors").replaceChildren(...faults.slice(0, 6).map((fault) => described(fault, written)));
    if (faults.some((fault) => !(fault.pointer ?? "").startsWith("/inputs/"))) text.setAttribute("aria-invalid", "true");
    shown();
  };
  if (document.activeElement === text) {
    waiting = setTimeout(say, SILENT_MILLISECONDS);
    speaking = setTimeout(() => { $("spoken").textContent = faults[0].detail; }, SPOKEN_MILLISECONDS);
  } else {
    say();
    $("spoken").textContent = faults[0].detail;
  }
}

text.addEventListener("blur", () => {
  if (waiting && text.getAttribute("aria-invalid") !== "true") document.body.dispatchEvent(new Event("left-editor"));
});

function described(fault, written) {
  const place = fault.line ? `Line ${fault.line}${fault.column ? `, column ${fault.column}` : ""}: ` : fault.node ? `${fault.node}: ` : "";
  const box = make("div", { class: "note" }, make("b", {}, place), fault.detail);
  if (fault.hint) box.append(make("div", { class: "suggestion" }, fault.hint));
  if (fault.line && fault.column) {
    const line = written.split("\n")[fault.line - 1] ?? "";
    box.append(make("pre", {}, `${line}\n${" ".repeat(fault.column - 1)}^`));
  }
  for (const { words, act } of fault.actions ?? []) {
    const button = make("button", { type: "button", class: "link" }, words);
    button.addEventListener("click", act);
    box.append(button);
  }
  return box;
}

export function hint(words, actions) {
  const box = make("div", { class: "hint" }, words, " ");
  for (const [label, act] of actions) {
    const button = make("button", { type: "button", class: "link" }, label);
    button.addEventListener("click", act);
    box.append(button, " ");
  }
  return box;
}
