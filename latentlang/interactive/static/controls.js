// Pieces that several views have: choices, chips, the tools of a view, the legend of languages, bars of tokens.
import { h, newId, percent, quoted, tokenSpan } from "./dom.js";
import { strength } from "./colours.js";

// What that entry of the legend means.
export const NO_ONE = "No one language: several of the languages write this token, or it is not certain which one does.";

// A few choices side by side of which one holds; arrow keys move, as in every group of radio buttons.
export function segmented(title, options, chosen, act) {
  const name = newId("choice");
  const element = h("fieldset", { class: "segmented" }, h("legend", {}, title));
  const row = h("div", { class: "segments" });
  for (const { id, label, hint } of options) {
    const box = h("input", { type: "radio", name, value: id, checked: id === chosen, onchange: () => act(id) });
    row.append(h("label", { title: hint }, box, h("span", {}, label)));
  }
  element.append(row);
  element.choose = id => {
    for (const box of row.querySelectorAll("input")) box.checked = box.value === id;
  };
  return element;
}

// The concepts that a text names: the one of that name or label, or those whose name is the text and a class in brackets
// ("dog" for "dog (animal)").
function conceptsOf(concepts, text) {
  const wanted = text.trim().toLowerCase();
  const exact = concepts.filter(one => one.label === text.trim() || one.name.toLowerCase() === wanted);
  return exact.length ? exact : concepts.filter(one => one.name.toLowerCase().replace(/\s*\([^()]*\)$/, "") === wanted);
}

// A box to choose a concept in, and its list; take is called with the concept, or with null where the box is empty.
export function conceptBox(app, view, placeholder, take) {
  const id = newId("concept"), listId = newId("concepts");
  const box = h("input", { id, list: listId, type: "text", autocomplete: "off", placeholder, disabled: !app.live,
    title: app.live ? null : "This page holds one concept; latentlang explore has the others.", onchange: () => {
      const found = box.value.trim() ? conceptsOf(app.open.concepts, box.value) : [null];
      if (found.length !== 1) {
        return app.complain(found.length ? `${quoted(box.value)} is ${found.length} concepts; choose one: ${found.map(one => one.name).join(", ")}`
          : `${quoted(box.value)} is not a concept of this task; choose one of the list`, view);
      }
      app.complain("", "");
      box.value = found[0]?.name ?? "";
      return take(found[0]);
    } });
  return { box, field: h("span", { class: "field" }, h("label", { for: id }, "Concept"), box,
    h("datalist", { id: listId }, app.open.concepts.map(one => h("option", { value: one.name })))) };
}

export function chip(label, attributes = {}) {
  return h("button", { type: "button", ...attributes, class: `chip ${attributes.class ?? ""}` }, label);
}

// The small mark that stands for a language: its colour and pattern, and its code.
export function languageMark(app, code) {
  const { pattern, slot } = app.colours(code);
  return h("span", { class: `mark ${pattern}`, "data-slot": slot, "aria-hidden": "true" });
}

// "copy code" and "as table" at the end of a view's first line. table() gives the view's text alternative.
export function viewTools(app, table, place) {
  let code = "";
  const copy = h("button", { type: "button", class: "quiet", disabled: true, onclick: () => app.copyCode(code),
    title: "Python code that gives the same in a notebook; there once all is read" }, "Copy code");
  const show = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => {
    const shown = show.getAttribute("aria-pressed") !== "true";
    show.setAttribute("aria-pressed", String(shown));
    place.hidden = !shown;
    fill();
  } }, "As table");
  const fill = () => {
    if (place.hidden) return;
    place.replaceChildren(...[table()].flat().filter(Boolean));
  };
  place.hidden = true;
  return {
    element: h("div", { class: "tools" }, copy, show),
    setCode(text) {
      code = text ?? "";
      copy.disabled = !code;
    },
    refresh: fill,
  };
}

// Buttons of languages; a pressed one isolates its language in all views.
export function makeLegend(app) {
  const element = h("div", { class: "legend", role: "group", "aria-label": "Languages: press to show one alone" });
  let shown = [];
  const draw = () => {
    const isolated = app.store.get("isolated");
    element.replaceChildren(...shown.map(([code, count]) => h("button", {
      type: "button", class: "language", "data-code": code ?? "", title: code ? null : NO_ONE, "aria-pressed": String(isolated.includes(code)),
      onclick: () => {
        const now = app.store.get("isolated");
        app.store.set("isolated", now.includes(code) ? now.filter(other => other !== code) : [...now, code]);
      },
    }, languageMark(app, code), h("span", {}, app.languageName(code)), code && h("span", { class: "code" }, code),
    count === null ? null : h("span", { class: "count" }, String(count)))));
    if (isolated.length) {
      element.append(h("button", { type: "button", class: "quiet", onclick: () => app.store.set("isolated", []) }, "Show all"));
    }
  };
  app.store.subscribe("isolated", () => {
    const at = [...element.children].indexOf(document.activeElement);
    draw();
    if (at >= 0) (element.children[at] ?? [...element.querySelectorAll("button")].at(-1))?.focus();
  });
  return { element, show: languages => { shown = languages; draw(); } };
}

// The likeliest tokens of one cell, as bars.
export function tokenBars(app, top) {
  const most = Math.max(...top.map(([, p]) => p), 1e-9);
  return h("ol", { class: "bars" }, top.map(([token, p]) => {
    const { slot, pattern } = app.colours(token.language);
    return h("li", {},
      tokenSpan(token, { title: `token ${token.id}` }),
      h("span", { class: "code" }, token.language ?? ""),
      h("span", { class: "bar", "data-slot": slot, "aria-hidden": "true" },
        h("span", { class: pattern, style: { width: `${Math.max(0.5, (100 * p) / most)}%` } })),
      h("span", { class: "value" }, percent(p)));
  }));
}

// How a cell of a token is drawn: colour of its language, as strong as its probability.
export function paintCell(app, cell, token, p) {
  const { slot, pattern } = app.colours(token.language);
  cell.dataset.slot = slot;
  cell.dataset.language = token.language ?? "";
  cell.style.setProperty("--share", `${(100 * strength(p)).toFixed(1)}%`);
  cell.replaceChildren(h("span", { class: `edge ${pattern}`, "aria-hidden": "true" }), tokenSpan(token),
    h("span", { class: "code" }, token.language ?? ""));
}

// What the strength of a colour says.
export function strengthKey() {
  return h("span", { class: "key" }, h("span", {}, "probability"), [0.01, 0.1, 0.5, 1].map(p =>
    h("span", { class: "cell", "data-slot": "8", style: { "--share": `${100 * strength(p)}%` } }, percent(p))));
}
