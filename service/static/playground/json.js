// Where a text stops being JSON. Browsers' own messages don't always say.

const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const PLAIN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

// The index of the first character that doesn't fit.
export function firstFault(text) {
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return Boolean(found);
  };
  const char = (wanted) => {
    match(SPACE);
    if (text[at] !== wanted) return false;
    at += 1;
    return true;
  };
  const list = (close, item) => {
    if (char(close)) return true;
    do {
      match(SPACE);
      if (!item()) return false;
    } while (char(","));
    return char(close);
  };
  const value = () => {
    match(SPACE);
    if (char("[")) return list("]", value);
    if (char("{")) return list("}", () => match(STRING) && char(":") && value());
    return match(STRING) || match(PLAIN);
  };
  if (value()) match(SPACE);
  return at;
}
