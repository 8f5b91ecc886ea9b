// What is written and set: the graph's text and the inputs' values, and how to go back.

import { fromHash, toHash } from "./share.js";

const LENGTH = 100;
const GROUP_MILLISECONDS = 1000;

export const state = { mode: "expression", text: "", inputs: {} };
const past = [];
const future = [];
let touched = { kind: "", at: 0 };

const copy = () => structuredClone(state);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Keep the present before it is changed; changes of one kind within a second are one.
export function keep(kind) {
  const now = performance.now();
  const grouped = kind === touched.kind && now - touched.at < GROUP_MILLISECONDS;
  touched = { kind, at: now };
  if (grouped || (past.length && same(past.at(-1), state))) return;
  past.push(copy());
  if (past.length > LENGTH) past.shift();
  future.length = 0;
}

function move(from, to) {
  let next = from.pop();
  while (next && same(next, state)) next = from.pop();
  if (!next) return null;
  to.push(copy());
  touched = { kind: "", at: 0 };
  return next;
}

export const undo = () => move(past, future);
export const redo = () => move(future, past);
export const canUndo = () => past.some((one) => !same(one, state));
export const canRedo = () => future.length > 0;

let saving = null;

// The address and the browser's store hold the latest work.
export function remember() {
  clearTimeout(saving);
  saving = setTimeout(() => {
    const hash = toHash(state);
    if (document.body.dataset.mode === "explore") history.replaceState(null, "", hash);
    try {
      localStorage.setItem("work", hash);
    } catch {
      // Storage may be refused; the address still holds it.
    }
  }, 300);
}

export function lastWork() {
  try {
    return fromHash(localStorage.getItem("work") ?? "");
  } catch {
    return null;
  }
}
