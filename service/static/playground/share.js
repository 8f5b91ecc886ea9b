// The state as part of the address, and as requests in other languages.

export function toHash(state) {
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return "#g=" + btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function fromHash(hash) {
  if (!hash.startsWith("#g=")) return null;
  try {
    const text = atob(hash.slice(3).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const state = JSON.parse(new TextDecoder().decode(bytes));
    const mode = state.mode === "json" ? "json" : "expression";
    if (typeof state.text !== "string" || typeof state.inputs !== "object") return null;
    return { mode, text: state.text, inputs: { ...state.inputs } };
  } catch {
    return null;
  }
}

const root = () => new URL(".", document.baseURI).href.replace(/\/$/, "");
const address = () => new URL("v1/gradient", document.baseURI).href;

export function asJson(request) {
  return JSON.stringify(request, null, 2);
}

export function asCurl(request) {
  const body = JSON.stringify(request).replaceAll("'", "'\\''");
  return `curl -s ${address()} \\\n  -H 'content-type: application/json' \\\n  -d '${body}'\n`;
}

export function asPython(request) {
  const quoted = JSON.stringify(JSON.stringify(request, null, 1));
  return [
    "import json",
    "import urllib.request",
    "",
    `request = json.loads(${quoted})`,
    "answer = urllib.request.urlopen(",
    "    urllib.request.Request(",
    `        ${JSON.stringify(address())},`,
    "        json.dumps(request).encode(),",
    '        {"content-type": "application/json"},',
    "    )",
    ")",
    'print(json.load(answer)["gradients"])',
    "",
  ].join("\n");
}

export function asPythonClient(request) {
  const quoted = JSON.stringify(JSON.stringify(request, null, 1));
  return `import json\nfrom gradient_client import Client\n\nrequest = json.loads(${quoted})\nwith Client(${JSON.stringify(root())}) as client:\n    answer = client.gradient(request["graph"], request["inputs"])\nprint(answer.gradients)\n`;
}

export function asJavaScript(request) {
  const body = JSON.stringify(request, null, 2);
  return `const answer = await fetch(${JSON.stringify(address())}, {\n  method: "POST",\n  headers: { "content-type": "application/json" },\n  body: JSON.stringify(${body}),\n});\nconsole.log((await answer.json()).gradients);\n`;
}

export function asR(request) {
  const body = JSON.stringify(JSON.stringify(request));
  return `library(httr2)\n\nanswer <- request(${JSON.stringify(address())}) |>\n  req_body_raw(${body}, type = "application/json") |>\n  req_perform() |>\n  resp_body_json()\nstr(answer$gradients)\n`;
}

export function asJulia(request) {
  const body = JSON.stringify(JSON.stringify(request)).replaceAll("$", "\\$");
  return `using HTTP, JSON3\n\nanswer = HTTP.post(${JSON.stringify(address())}, ["content-type" => "application/json"], ${body})\nprintln(JSON3.read(answer.body).gradients)\n`;
}

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
