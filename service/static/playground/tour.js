// A short tour of the ideas: one circuit, one question, one control, then what it shows.

import { $, make } from "./dom.js";

const TWO_LAYERS = {
  X: [[0.5, -1.2], [1.5, 0.3], [-0.7, 0.8], [1.1, -0.4]],
  W1: [[0.2, -0.5, 1], [0.7, 0.1, -0.3]], b1: [0.1, 0, -0.1],
  W2: [[0.3, 0.1, -0.2], [-0.1, 0.4, 0.2], [0.5, -0.3, 0.1]], b2: [0, 0, 0], y: [0, 2, 1, 0],
};

export const STOPS = [
  { title: "A slope", expression: "f = x * y", inputs: { x: 4, y: -3 }, control: "x", hidden: ["x"],
    question: "Push x up a little: does f rise or fall, and by how much?",
    insight: "A gradient is a slope: its sign says in which direction, its size how strongly. Here it is y: f falls by 3 for each 1 that x gains." },
  { title: "The chain rule", expression: "q = x + y\nf = q * z", inputs: { x: -2, y: 5, z: -4 }, control: "x", hidden: ["x"],
    question: "z pulls q with −4. What reaches x?",
    insight: "A gate needs only its own slope. Times what it received, that is all it sends on: 1 × −4." },
  { title: "A wire that branches", expression: "a = x * y\nf = a + x", inputs: { x: 3, y: 2 }, control: "x", hidden: ["x"],
    question: "x is used twice. How much does f grow for each 1 that x gains?",
    insight: "The pulls of all uses add up: dx += … once for each, here 2 + 1." },
  { title: "Three habits", expression: "f = 2 * (x * y + maximum(z, w))", inputs: { x: 3, y: -4, z: 2, w: -1 }, control: "w", hidden: ["w"],
    question: "Which of z and w could you move without f noticing?",
    insight: "Add copies its gradient to all inputs, max gives it to the larger one alone, and × swaps its inputs. Three habits that are worth knowing." },
  { title: "Where you cut is your choice", expression: "f = 1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", inputs: { w0: 2, x0: -1, w1: -3, x1: -2, w2: -3 },
    other: { expression: "f = sigmoid(w0*x0 + w1*x1 + w2)", words: "Fold the gates into one σ" }, hidden: [],
    question: "Fold five gates into one σ: does anything change at w0?",
    insight: "Nothing does. Where you cut a function into gates is your choice; the product of the slopes is the same." },
  { title: "Staged computation", expression: "sigy = sigmoid(y)\nnum = x + sigy\nsigx = sigmoid(x)\nxpy = x + y\nxpysqr = xpy**2\nden = sigx + xpysqr\ninvden = 1 / den\nf = num * invden", inputs: { x: 3, y: -4 }, step: true, hidden: [],
    question: "Step backwards. Which stored value does each line need?",
    insight: "Name the intermediate results on the way forward: each line of the way back uses one of them again." },
  { title: "Matrices", expression: "D = W @ X\nf = sum(D)", inputs: { W: [[1, 2, -1], [0.5, -2, 3]], X: [[1, 0, 2, -1], [0, 1, 1, 3], [2, -1, 0, 1]] }, hidden: ["W"],
    choices: ["dD @ X", "dD @ X.T", "X.T @ dD"], right: "dD @ X.T",
    question: "dW must look like W, 2×3. D is 2×4 and X is 3×4: which product fits?",
    insight: "Shapes decide: 2×4 times 4×3 is 2×3, so dW is dD @ X.T." },
  { title: "Learning", expression: "h = maximum(X @ W1 + b1, 0)\ns = h @ W2 + b2\nL = cross_entropy(s, y)", inputs: TWO_LAYERS, nudges: true, hidden: [],
    question: "Nudge every weight against its gradient. How many nudges of 0.5 until L is below 0.5?",
    insight: "Learning is this page, repeated: forward, backward, a small step." },
];

let at = 0;
let answered = false;
let pose = () => {};
let started = null;

export function onPose(callback) {
  pose = callback;
}

export const stop = () => STOPS[at];
export const isHidden = (name) => !answered && STOPS[at].hidden.includes(name);

export function enter(number) {
  at = Math.max(0, Math.min(STOPS.length - 1, number - 1));
  answered = false;
  started = null;
  pose(STOPS[at]);
  render();
}

export function leave() {
  $("tour").hidden = true;
}

// What the reader did may be the answer that was asked for.
export function load(told, request, end) {
  const now = JSON.stringify(request);
  const here = STOPS[at];
  if (request.graph.expression !== here.expression) return;
  started ??= now;
  if (here.nudges) { if (told.value < 0.5) answer(); }
  else if (here.step) { if (!end) document.body.dataset.stepped = "1"; else if (document.body.dataset.stepped) answer(); }
  else if (!here.choices && now !== started) answer();
}

export function stepped(end) {
  if (document.body.dataset.mode === "tour" && STOPS[at].step && !end) answer();
}

function answer() {
  if (answered) return;
  answered = true;
  render();
  document.body.dispatchEvent(new Event("answered"));
}

function render() {
  const here = STOPS[at];
  const parts = [make("div", { class: "legend" }, `${at + 1} of ${STOPS.length}`), make("h2", {}, here.title), make("p", { class: "question" }, here.question)];
  const controls = [];
  if (here.choices) {
    for (const words of here.choices) {
      const button = make("button", { type: "button" }, words);
      button.addEventListener("click", () => { if (words === here.right) answer(); else button.append(" does not fit"), (button.disabled = true); });
      controls.push(button);
    }
  }
  if (here.other) {
    const button = make("button", { type: "button" }, here.other.words);
    button.addEventListener("click", () => { pose({ ...here, expression: here.other.expression }); answer(); });
    controls.push(button);
  }
  if (answered) parts.push(make("p", { class: "insight" }, here.insight));
  const back = make("a", { href: `#tour/${Math.max(1, at)}` }, "Back");
  const next = at + 1 < STOPS.length ? make("a", { href: `#tour/${at + 2}`, class: answered ? "main" : "" }, "Next") : make("a", { href: "#explore" }, "To your own formula");
  $("tour").replaceChildren(...parts, make("div", { class: "bar" }, ...controls, back, " ", next));
  $("tour").hidden = false;
}
