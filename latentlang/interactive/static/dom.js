// Elements are made of text only, never of HTML: what models and data say stays inert.

const SVG = "http://www.w3.org/2000/svg";
// Two widgets on one page load this module twice, so a count alone would give the same id twice.
const UNIQUE = Math.random().toString(36).slice(2, 9);
// How a space is made visible in the text of a token.
const SPACE = "␣";
let ids = 0;

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") setStyle(element, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

// Custom properties (--name) too, which assigning to element.style cannot set.
export function setStyle(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.style[name] = value;
  }
}

export function newId(name) {
  return `latentlang-${UNIQUE}-${name}-${++ids}`;
}

export function percent(p) {
  if (p === null || p === undefined) return "–";
  const value = p * 100;
  if (value === 0) return "0%";
  if (value < 0.01) return "<0.01%";
  return `${value >= 9.95 ? Math.round(value) : value.toPrecision(2)}%`;
}

export function number(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

// A token as a reader sees it: in its own direction, a part of a character in monospace, its space in front quiet.
export function tokenSpan(token, attributes = {}) {
  const spaced = token.text.length > 1 && token.text.startsWith(SPACE);
  return h("bdi", { dir: "auto", ...attributes, class: `token${token.bytes ? " bytes" : ""}` },
    spaced ? h("span", { class: "space" }, SPACE) : null, spaced ? token.text.slice(1) : token.text);
}

// For labels and titles: the same, isolated by characters since there is no element.
export function quoted(text) {
  return `“\u2068${text}\u2069”`;
}

// "2", "2 to 4", "1 to 3, 7"
export function ranges(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const found = [];
  for (const value of sorted) {
    const last = found[found.length - 1];
    if (last && value === last[1] + 1) last[1] = value;
    else found.push([value, value]);
  }
  return found.map(([a, b]) => (a === b ? `${a}` : b === a + 1 ? `${a}, ${b}` : `${a} to ${b}`)).join(", ");
}

// A real table: heads, and rows of cells that are text or elements; the first of a row is its head.
export function tableOf(caption, heads, rows) {
  return h("table", { class: "plain" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads.map(head => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map(([first, ...rest]) =>
      h("tr", {}, h("th", { scope: "row" }, first), rest.map(cell => h("td", {}, cell))))));
}
