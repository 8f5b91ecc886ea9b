// The note's examples, and what goes a little beyond them.

export const EXAMPLES = [
  {
    name: "(x + y) z",
    title: "Compound expressions: two gates",
    expression: "q = x + y\nf = q * z",
    inputs: { x: -2, y: 5, z: -4 },
  },
  {
    name: "Neuron",
    title: "The sigmoid neuron, gate by gate",
    expression: "f = 1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))",
    inputs: { w0: 2, x0: -1, w1: -3, x1: -2, w2: -3 },
  },
  {
    name: "Staged",
    title: "Staged computation",
    expression: [
      "sigy = sigmoid(y)",
      "num = x + sigy",
      "sigx = sigmoid(x)",
      "xpy = x + y",
      "xpysqr = xpy**2",
      "den = sigx + xpysqr",
      "invden = 1 / den",
      "f = num * invden",
    ].join("\n"),
    inputs: { x: 3, y: -4 },
  },
  {
    name: "Add, mul, max",
    title: "Patterns in backward flow",
    expression: "f = 2 * (x * y + max(z, w))",
    inputs: { x: 3, y: -4, z: 2, w: -1 },
  },
  {
    name: "Branch",
    title: "A wire that branches: gradients add up",
    expression: "a = x * y\nf = a * x",
    inputs: { x: 3, y: 2 },
  },
  {
    name: "Matrices",
    title: "Gradients for vectorized operations",
    expression: "D = W @ X\nf = sum(D)",
    inputs: {
      W: [[1, 2, -1], [0.5, -2, 3]],
      X: [[1, 0, 2, -1], [0, 1, 1, 3], [2, -1, 0, 1]],
    },
  },
  {
    name: "Two layers",
    title: "A two-layer network with a mean squared loss",
    expression: "h = relu(X @ W1 + b1)\nscores = h @ W2 + b2\nloss = mean((scores - t)**2)",
    inputs: {
      X: [[0.5, -1.2], [1.5, 0.3], [-0.7, 0.8], [1.1, -0.4]],
      W1: [[0.2, -0.5, 1.0], [0.7, 0.1, -0.3]],
      b1: [0.1, 0, -0.1],
      W2: [[0.6], [-0.4], [0.9]],
      b2: [0.2],
      t: [[1], [0.5], [0], [-1]],
    },
  },
];
