// The shapes that the inputs of a formula need, worked out from how they are used.
//
// A small reader of the formula passes shapes through it; sides that must agree are united.
// What it does not know it leaves alone: such inputs are scalars, and the service has the word.

const TOKEN = /\s*(?:(\d[\w.]*|\.\d+)|([A-Za-z_\u00c0-\uffff][\w\u00c0-\uffff]*)|(\*\*|\/\/|<=|>=|==|!=|[-+*/@%<>=()[\],.:~&|]))/y;
const ELEMENTWISE = new Set("exp log sqrt square abs tanh sin cos relu sigmoid softplus gelu silu elu selu erf sign".split(" "));
const REDUCTIONS = new Set("sum mean max min prod var std amax amin".split(" "));

const fresh = () => ({ same: null, size: 0, least: 1 });
const root = (side) => { while (side.same) side = side.same; return side; };

function unite(a, b) {
  [a, b] = [root(a), root(b)];
  if (a === b) return;
  a.size ||= b.size;
  a.least = Math.max(a.least, b.least);
  b.same = a;
}

class Tensor {
  constructor(sides = null, parts = []) {
    this.sides = sides; // null while nothing is known
    this.parts = parts; // what has the same shape as this, while that is unknown
  }

  // These sides, if nothing was known before.
  become(sides) {
    if (this.sides) return this.sides;
    this.sides = sides;
    for (const part of this.parts) part.become(sides);
    return sides;
  }

  rank(count) {
    return this.become(Array.from({ length: count }, fresh));
  }
}

const SCALAR = () => new Tensor([]);

class Reader {
  constructor(text, known) {
    this.names = new Map();
    this.labels = new Map(); // name → the side that counts the classes
    for (const [name, dims] of Object.entries(known)) {
      this.names.set(name, new Tensor(dims.map((size) => ({ ...fresh(), size }))));
    }
    for (const line of text.split(/[\n;]/)) {
      this.tokens = [];
      TOKEN.lastIndex = 0;
      const code = line.replace(/#.*/, "");
      for (let found; TOKEN.lastIndex < code.length && (found = TOKEN.exec(code)); ) this.tokens.push(found[0].trim());
      this.at = 0;
      try {
        this.line();
      } catch {
        // What can't be read here is read by the service, or refused there.
      }
    }
  }

  peek(...wanted) { return wanted.includes(this.tokens[this.at]); }
  take(wanted) {
    if (this.at >= this.tokens.length || (wanted !== undefined && this.tokens[this.at] !== wanted)) throw new Error(wanted);
    this.at += 1;
    return this.tokens[this.at - 1];
  }

  line() {
    if (!this.tokens.length) return;
    const assigned = /^[^\d]/.test(this.tokens[0]) && this.tokens[1] === "=";
    const target = assigned ? this.take() : null;
    if (assigned) this.take("=");
    const value = this.sum();
    if (target) this.names.set(target, value);
  }

  sum() {
    let left = this.product();
    while (this.peek("+", "-", "<", ">", "<=", ">=", "==", "!=")) { this.take(); left = this.together(left, this.product()); }
    return left;
  }

  product() {
    let left = this.sign();
    while (this.peek("*", "/", "@", "%", "//")) {
      const matrix = this.take() === "@";
      const right = this.sign();
      left = matrix ? this.matmul(left, right) : this.together(left, right);
    }
    return left;
  }

  sign() {
    if (this.peek("-", "+", "~")) { this.take(); return this.sign(); }
    const base = this.postfix();
    if (!this.peek("**")) return base;
    this.take();
    return this.together(base, this.sign());
  }

  postfix() {
    let value = this.atom();
    for (;;) {
      if (this.peek("[")) value = this.subscript(value);
      else if (this.peek(".")) {
        this.take();
        const name = this.take();
        if (name === "T") {
          const sides = value.sides ?? value.rank(2);
          value = new Tensor([...sides].reverse());
        } else value = this.call(name, [value]);
      } else return value;
    }
  }

  atom() {
    const token = this.take();
    if (token === "(") {
      const value = this.sum();
      this.take(")");
      return value;
    }
    if (/^[\d.]/.test(token)) return SCALAR();
    if (!/^[^\W\d]|^[_\u00c0-\uffff]/.test(token)) throw new Error(token);
    if (this.peek("(")) return this.call(token, []);
    if (this.peek(".") && /^(np|numpy|math)$/.test(token)) {
      this.take();
      const name = this.take();
      return this.peek("(") ? this.call(name, []) : SCALAR();
    }
    if (!this.names.has(token)) {
      const made = new Tensor();
      made.name = token;
      this.names.set(token, made);
    }
    return this.names.get(token);
  }

  subscript(value) {
    this.take("[");
    const places = [];
    for (let part = []; ; ) {
      const token = this.take();
      if (token === "," || token === "]") {
        places.push(part);
        part = [];
        if (token === "]") break;
      } else part.push(token);
    }
    const sides = value.sides ?? value.rank(places.length);
    const left = [];
    places.forEach((part, axis) => {
      const [index] = part;
      if (part.includes(":")) left.push(fresh());
      else if (sides[axis] && /^\d+$/.test(index)) root(sides[axis]).least = Math.max(root(sides[axis]).least, Number(index) + 1);
    });
    return new Tensor([...left, ...sides.slice(places.length)]);
  }

  call(name, given) {
    this.take("(");
    const values = [...given];
    const named = {};
    while (!this.peek(")")) {
      if (this.tokens[this.at + 1] === "=" && this.tokens[this.at + 2] !== "=") {
        const key = this.take();
        this.take("=");
        named[key] = this.tokens[this.at];
      }
      const value = this.sum();
      if (!Object.keys(named).length) values.push(value);
      if (this.peek(",")) this.take();
    }
    this.take(")");
    return this.applied(name, values, named);
  }

  applied(name, values, named) {
    const [first, second] = values;
    if (ELEMENTWISE.has(name)) return first;
    if (name === "maximum" || name === "minimum") return this.together(first, second);
    if (name === "matmul" || name === "dot") return this.matmul(first, second);
    if (name === "softmax" || name === "log_softmax") { first.sides ?? first.rank(1); return first; }
    if (name === "cross_entropy" || name === "nll" || name === "hinge") {
      const sides = first.sides ?? first.rank(2);
      second.become(sides.slice(0, -1));
      if (second.name) this.labels.set(second.name, sides.at(-1));
      return SCALAR();
    }
    if (REDUCTIONS.has(name)) {
      if (values.length > 1 && ["max", "min"].includes(name)) return this.together(first, second);
      if (named.axis === undefined) { first.sides ?? (first.name && first.rank(1)); return SCALAR(); }
      const sides = first.sides ?? first.rank(2);
      const axis = Number(named.axis === "-" ? -1 : named.axis);
      const place = axis < 0 ? sides.length + axis : axis;
      if (named.keepdims === "True") return new Tensor(sides.map((side, at) => (at === place ? { ...fresh(), size: 1 } : side)));
      return new Tensor(sides.filter((_, at) => at !== place));
    }
    if (["norm", "logsumexp"].includes(name)) { first.sides ?? first.rank(1); return SCALAR(); }
    if (["det", "trace", "inv"].includes(name)) {
      const sides = first.sides ?? first.rank(2);
      unite(sides[0], sides[1]);
      return name === "inv" ? first : SCALAR();
    }
    if (name === "outer") return new Tensor([...(first.sides ?? first.rank(1)), ...(second.sides ?? second.rank(1))]);
    return new Tensor();
  }

  // Element by element, with NumPy's broadcasting.
  together(a, b) {
    if (!a || !b) return a ?? new Tensor();
    if (!a.sides && !b.sides) return new Tensor(null, [a, b]);
    if (!a.sides || !b.sides) {
      const [bare, full] = a.sides ? [b, a] : [a, b];
      if (!full.sides.length) return bare;
      // A bias is a row that all rows get; everything else is as large as what it meets.
      if (bare.name && /^b/i.test(bare.name) && full.sides.length > 1) bare.become(full.sides.slice(-1));
      else bare.become(full.sides);
      return full;
    }
    const [long, short] = a.sides.length >= b.sides.length ? [a, b] : [b, a];
    const offset = long.sides.length - short.sides.length;
    short.sides.forEach((side, at) => {
      const other = long.sides[at + offset];
      if (root(side).size !== 1 && root(other).size !== 1) unite(other, side);
    });
    return long;
  }

  matmul(a, b) {
    const rank = (one) => (one.name && /^[a-z]/.test(one.name) ? 1 : 2);
    const left = a.sides ?? a.rank(rank(a));
    const right = b.sides ?? b.rank(rank(b));
    if (!left.length || !right.length) return new Tensor([]);
    unite(left.at(-1), right.length > 1 ? right.at(-2) : right[0]);
    return new Tensor([...left.slice(0, -1), ...(right.length > 1 ? [right.at(-1)] : [])]);
  }
}

const FREE = [2, 3, 4];
const ENTRIES = [0.5, -1.2, 0.8, 1.5, 0.3, -0.7, 1.1, -0.4, 0.9, -0.6, 0.2, 1.3];

// A value for each of `wanted`, of the shape that `text` asks for; `known` are the others'.
export function valuesFor(text, wanted, known) {
  const reader = new Reader(text, known);
  let free = 0;
  // Sides of different sizes where that can be: square matrices hide mistakes.
  const used = new Set(Object.values(known).flat());
  const size = (side) => {
    const one = root(side);
    if (!one.size) {
      one.size = Math.max(one.least, FREE.find((size) => !used.has(size)) ?? FREE[free++ % FREE.length]);
      used.add(one.size);
    }
    return one.size;
  };
  const made = {};
  const place = (name) => text.search(new RegExp(`(?<!\\w)${name.replace(/\W/g, "\\$&")}(?!\\w)`));
  const inOrder = [...wanted].sort((a, b) => place(a) - place(b));
  inOrder.forEach((name, turn) => {
    const dims = (reader.names.get(name)?.sides ?? []).map(size);
    const classes = reader.labels.has(name) ? size(reader.labels.get(name)) : 0;
    let entry = 5 * turn;
    const fill = ([first, ...rest]) => {
      if (first !== undefined) return Array.from({ length: first }, () => fill(rest));
      entry += 1;
      return classes ? (entry - 5 * turn - 1) % classes : ENTRIES[(entry - 1) % ENTRIES.length];
    };
    made[name] = dims.length || classes ? fill(dims) : 1;
  });
  return made;
}

// Of which names the entries are class numbers.
export const labelsOf = (text) => new Set(new Reader(text, {}).labels.keys());
