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
