// What is said of a formula that can be read, but perhaps isn't what was meant.

const CONSTANTS = { pi: Math.PI, e: Math.E, inf: "Infinity" };

const used = (text, name) => new RegExp(`(?<![\\w.])${name}(?![\\w(.]|\\s*=[^=])`).test(text);
const assigned = (text, name) => new RegExp(`^\\s*${name}\\s*=[^=]`, "m").test(text);

// The bare names that are read as NumPy's constants, unless the reader made them inputs.
export function constants(text, inputs) {
  const found = {};
  for (const [name, value] of Object.entries(CONSTANTS)) {
    if (!(name in inputs) && used(text, name) && !assigned(text, name)) found[name] = value;
  }
  return found;
}

// An operation's name without its argument, or run together with it.
export function nearOperation(name, operations) {
  if (operations.has(name)) return `${name} needs its argument: ${name}(x)`;
  const common = { ln: "log", log: "log", sin: "sin", cos: "cos", exp: "exp", tanh: "tanh", sqrt: "sqrt" };
  for (const [start, operation] of Object.entries(common)) {
    const rest = name.slice(start.length);
    if (name.startsWith(start) && /^[a-z]\d?$/.test(rest)) return `${operation}(${rest})?`;
  }
  return null;
}
