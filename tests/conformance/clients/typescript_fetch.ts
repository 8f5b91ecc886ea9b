// A client made by openapi-generator for typescript-fetch: compiled under --strict, then run.
import { ComputeApi, Configuration, NodeOpEnum, ResponseError } from "./index.js";

const api = new ComputeApi(new Configuration({ basePath: process.argv[2] }));

function expect(name: string, found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${name}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  }
}

const gradient = await api.gradient({
  gradientRequest: {
    graph: {
      nodes: [
        { id: "x", op: NodeOpEnum.Input },
        { id: "y", op: NodeOpEnum.Constant, value: [[1, 2], [3, 4]] },
        { id: "p", op: NodeOpEnum.Mul, inputs: ["x", "y"] },
        { id: "s", op: NodeOpEnum.Sum, inputs: ["p"], axis: [0, 1], keepdims: false },
      ],
      output: "s",
    },
    inputs: { x: [[1, 1], [1, "Infinity"]] },
  },
});
expect("gradients", gradient.gradients, { x: [[1, 2], [3, 4]] });
expect("value", gradient.value, "Infinity");
const text = await api.hessian({
  hessianRequest: { graph: { expression: "x * x * y" }, inputs: { x: 3, y: 2 } },
});
expect("hessian", text.hessian, { x: { x: 4, y: 6 }, y: { x: 6, y: 0 } });
try {
  await api.forward({ forwardRequest: { graph: { expression: "foo(x)" } } });
  throw new Error("it was not refused");
} catch (error) {
  if (!(error instanceof ResponseError)) throw error;
  expect("refused", (await error.response.json()).code, "unknown_operator");
}
console.log("ok");
