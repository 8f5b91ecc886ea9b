// Making elements, so that nothing is ever put together as markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function drawing(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A name with its subscript, as in the drawing.
export function named(name) {
  const found = /^([^\W\d_]+)_?(\d{1,4})$/u.exec(name);
  const span = make("span", { class: "name" }, found ? found[1] : name);
  if (found) span.append(make("sub", {}, found[2]));
  return span;
}

export function tabs(buttons, chosen) {
  buttons.forEach((button) => {
    button.addEventListener("click", () => chosen(button));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const shown = buttons.filter((one) => one.offsetParent !== null);
      const next = shown[(shown.indexOf(button) + step + shown.length) % shown.length];
      next.focus();
      next.click();
      event.preventDefault();
      event.stopPropagation();
    });
  });
  return (selected) => {
    for (const button of buttons) {
      button.setAttribute("aria-selected", String(button === selected));
      button.tabIndex = button === selected ? 0 : -1;
    }
  };
}

// Whether a key was meant for the field that it was pressed in.
export const inField = (event) => Boolean(event.target.closest?.("textarea, input:not([type=range]), select, dialog"));

export const isPhone = () => matchMedia("(max-width: 759px)").matches;
