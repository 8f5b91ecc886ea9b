// Steps without a name of their own are called by their piece of the formula.

let pieces = new Map();

const LONGEST = 40;

export function learn(told) {
  pieces = new Map();
  for (const step of told.forward) {
    if (!step.node.startsWith("_")) continue;
    const [code] = step.code.slice(-1);
    const written = code?.split(" = ").slice(1).join(" = ") ?? view(step);
    pieces.set(step.node, substituted(written).replace(/(\d)\.0(?!\d)/g, "$1").replaceAll("np.", ""));
  }
}

// What has no line of code is a part of its input: x[0].
function view(step) {
  const from = step.inputs[0]?.node;
  return from ? `${from}` : step.op;
}

const substituted = (text) => text.replace(/(?<![\w.])_\d+(?![\w(])/g, (name) => {
  const piece = pieces.get(name);
  if (piece === undefined) return name;
  return /^[\w.[\]()]+$/.test(piece) || piece.endsWith(")") ? piece : `(${piece})`;
});

const clipped = (text) => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`);

export const titled = (name) => clipped(pieces.get(name) ?? name);
export const isNamed = (name) => !pieces.has(name);

// A sentence of the service with the pieces in place of the numbers.
export const said = (sentence) => sentence.replace(/(?<![\w.])_\d+(?!\w)/g, (name) => (pieces.has(name) ? clipped(pieces.get(name)) : name));
