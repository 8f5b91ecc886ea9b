// Gradients from JavaScript: a POST of JSON, and nothing to install.
// Run: node gradient.mjs http://127.0.0.1:8000

const url = process.argv[2] ?? "http://127.0.0.1:8000";

async function gradient(graph, inputs) {
  const response = await fetch(`${url}/v1/gradient`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ graph, inputs, values: "output" }),
  });
  const answer = await response.json();
  if (!response.ok) {
    const place = answer.errors?.[0]?.node;
    throw new Error(place ? `${answer.detail} (node ${place})` : answer.detail);
  }
  return answer;
}

const circuit = { expression: "(x + y) * z" };
const { value, gradients } = await gradient(circuit, { x: -2, y: 5, z: -4 });
console.log(value, gradients); // -12 { x: -4, y: -4, z: 3 }

// Fit a line to points by gradient descent.
const line = { expression: "mean((w * t + b - y) ** 2)" };
const t = [0, 1, 2, 3];
const y = [1.1, 2.9, 5.1, 6.9];
let w = 0;
let b = 0;
for (let step = 0; step < 200; step++) {
  const { gradients: d } = await gradient(line, { w, b, t, y });
  w -= 0.1 * d.w;
  b -= 0.1 * d.b;
}
console.log(`y = ${w.toFixed(2)} t + ${b.toFixed(2)}`); // y = 1.96 t + 1.06

try {
  await gradient({ expression: "x @ y" }, { x: [1, 2], y: [1, 2, 3] });
} catch (error) {
  console.log(error.message);
}
