// Numbers and tensors as short text, in the way of the server's drawings.

export function number(x) {
  if (typeof x === "string") return { NaN: "NaN", Infinity: "∞", "-Infinity": "-∞" }[x] ?? x;
  if (typeof x === "boolean") return String(x);
  const size = Math.abs(x);
  if (size === 0) return "0.00";
  if (size >= 1e5 || size < 5e-4) {
    const [mantissa, exponent] = x.toExponential(1).split("e");
    return `${mantissa}e${Number(exponent)}`;
  }
  if (size < 0.0995) {
    const short = String(Number(x.toPrecision(2)));
    return short.length >= x.toFixed(2).length ? short : x.toFixed(2);
  }
  return x.toFixed(2);
}

export function shape(x) {
  return Array.isArray(x) ? [x.length, ...(x.length ? shape(x[0]) : [])] : [];
}

const flat = (x) => (Array.isArray(x) ? x.flat(Infinity) : [x]);

export function tensor(x) {
  if (!Array.isArray(x)) return number(x);
  const all = flat(x);
  if (all.length <= 3) return nested(x);
  const norm = Math.sqrt(all.reduce((sum, one) => sum + Number(one) ** 2, 0));
  return `‖${number(norm)}‖`;
}

function nested(x) {
  return Array.isArray(x) ? `[${x.map(nested).join(", ")}]` : number(x);
}

// All elements, as far as they fit on a line or two.
export function long(x) {
  if (!Array.isArray(x)) return number(x);
  return flat(x).length <= 24 ? nested(x) : `${tensor(x)} of shape (${shape(x).join(", ")})`;
}
