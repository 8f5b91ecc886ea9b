// A client with openapi-typescript's types: compiled under --strict, then run.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Node = components["schemas"]["Node"];

const client = createClient<paths>({ baseUrl: process.argv[2] });

function expect(name: string, found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${name}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  }
}

const nodes: Node[] = [
  { id: "x", op: "input" },
  { id: "y", op: "constant", value: [[1, 2], [3, 4]] },
  { id: "p", op: "mul", inputs: ["x", "y"] },
  { id: "s", op: "sum", inputs: ["p"], axis: [0, 1], keepdims: false },
];
const gradient = await client.POST("/v1/gradient", {
  body: { graph: { nodes, output: "s" }, inputs: { x: [[1, 1], [1, "Infinity"]] } },
});
if (gradient.data === undefined) throw new Error(gradient.error.detail);
expect("gradients", gradient.data.gradients, { x: [[1, 2], [3, 4]] });
expect("value", gradient.data.value, "Infinity");
expect("warning", gradient.data.warnings?.[0]?.kind, "value");

const text = await client.POST("/v1/hessian", {
  body: { graph: { expression: "x * x * y" }, inputs: { x: 3, y: 2 } },
});
expect("hessian", text.data?.hessian, { x: { x: 4, y: 6 }, y: { x: 6, y: 0 } });

const refused = await client.POST("/v1/forward", { body: { graph: { expression: "foo(x)" } } });
expect("refused", refused.error?.code, "unknown_operator");
const derived = await client.POST("/v1/gradient-graph", {
  body: { graph: { expression: "x ** 3" }, inputs: { x: 2 } },
});
if (derived.data === undefined) throw new Error(derived.error.detail);
const again = await client.POST("/v1/forward", {
  body: { graph: derived.data.graph, inputs: { x: 2 }, values: "output" },
});
expect("sent back", again.data?.outputs[derived.data.gradients["x"] ?? ""], 12);
console.log("ok");
