// The service, as far as the playground uses it. All addresses are relative.

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? `The service answered with status ${status}.`);
    this.status = status;
    this.code = document.code ?? "";
    this.errors = document.errors ?? [];
  }
}

let key = "";

export function useKey(text) {
  key = text;
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The service can't be reached." });
  }
  if (answer.ok) return answer;
  let document = {};
  try {
    document = await answer.json();
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  throw new Problem(answer.status, document);
}

export const explain = async (request) => (await post("v1/explain", request)).json();
export const diagram = async (request) => (await post("v1/diagram", request)).text();
export const grade = async (request) => (await post("v1/grade", request)).json();
