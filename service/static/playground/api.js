// The service, as far as the page uses it. All addresses are relative.

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

async function ask(path, body, signal) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (key) headers.authorization = `Bearer ${key}`;
  let answer;
  try {
    const method = body === undefined ? "GET" : "POST";
    answer = await fetch(path, { method, headers, body: body === undefined ? body : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The service can't be reached. Your work is kept." });
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

const json = async (path, body, signal) => (await ask(path, body, signal)).json();

export const explain = (request, signal) => json("v1/explain", request, signal);
export const check = (request) => json("v1/check", request);
export const grade = (request) => json("v1/grade", request);
export const operators = () => json("v1/operators");
export const diagram = async (request, signal) => (await ask("v1/diagram", { ...request, tensors: "cells" }, signal)).text();
