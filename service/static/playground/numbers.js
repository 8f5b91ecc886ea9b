// Numbers as short text, in the way of the server's drawings (service/diagrams/numbers.py).

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const SPECIAL = { NaN: "NaN", Infinity: "∞", "-Infinity": "−∞" };

// Three significant digits, whole parts in full; 2 and 0.5 only where that is exact.
export function number(x) {
  if (typeof x === "string") return SPECIAL[x] ?? x;
  if (typeof x === "boolean") return String(x);
  if (!Number.isFinite(x)) return SPECIAL[String(x)];
  const size = Math.abs(x);
  if (size === 0) return "0";
  let text;
  if (size >= 1e5 || size < 1e-3) {
    const [mantissa, exponent] = x.toExponential(1).split("e");
    const raised = [...String(Number(exponent))].map((digit) => RAISED[digit]).join("");
    text = `${mantissa.replace(/\.0$/, "")}·10${raised}`;
  } else {
    const rounded = Math.abs(Number(x.toPrecision(3)));
    text = x.toFixed(Math.max(0, 2 - Math.floor(Math.log10(rounded))));
    if (text.includes(".") && Number(text) === x) text = text.replace(/\.?0+$/, "");
  }
  return text.replace("-", "−");
}

// The shortest digits that read back as the same number.
export const exact = (x) => (typeof x === "number" ? String(x) : typeof x === "string" ? (SPECIAL[x] ?? x) : String(x));

export function shape(x) {
  return Array.isArray(x) ? [x.length, ...(x.length ? shape(x[0]) : [])] : [];
}

export const sizes = (dims) => dims.join("×");
export const flat = (x) => (Array.isArray(x) ? x.flat(Infinity) : [x]);
export const norm = (x) => Math.sqrt(flat(x).reduce((sum, one) => sum + Number(one) ** 2, 0));
export const isFinite = (x) => flat(x).every((one) => typeof one !== "string" && Number.isFinite(Number(one)));

// A number, the elements of a small tensor, or the norm of a larger one.
export function tensor(x) {
  if (!Array.isArray(x)) return number(x);
  return flat(x).length <= 3 ? nested(x, number) : `‖${number(norm(x))}‖`;
}

function nested(x, write) {
  return Array.isArray(x) ? `[${x.map((one) => nested(one, write)).join(", ")}]` : write(x);
}

export const copied = (x) => nested(x, exact);

// How many decimals all entries of a matrix are shown with.
export function decimals(x) {
  const entries = flat(x).filter((one) => typeof one === "number");
  if (entries.every(Number.isInteger)) return 0;
  const largest = entries.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  return Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(largest || 1))));
}

export function entry(x, places) {
  if (typeof x !== "number") return number(x);
  return x === 0 ? "0" : x.toFixed(places).replace("-", "−");
}

// What a person writes for a number: 1/2, 0,5, −4, 1e-3. Null for what is none.
export function parse(text) {
  const plain = text.trim().replaceAll("−", "-").replace(/^\+/, "").replace(/(\d),(\d)/, "$1.$2");
  const part = String.raw`-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
  const found = new RegExp(`^(${part})(?:\\s*/\\s*(${part}))?$`).exec(plain);
  if (!found) return null;
  const value = found[2] === undefined ? Number(found[1]) : Number(found[1]) / Number(found[2]);
  return Number.isFinite(value) ? value : null;
}
