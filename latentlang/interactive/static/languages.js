// The same prompt in many languages: one row a language, the last position, every layer.
import { h, newId, percent, quoted, ranges, tableOf, tokenSpan } from "./dom.js";
import { conceptBox, makeLegend, paintCell, segmented, strengthKey, viewTools } from "./controls.js";
import { VIEWS } from "./registry.js";
import { LEAST_ABOVE_NULL } from "./answer.js";

VIEWS.push({ id: "languages", title: "Languages", needs: "languages", hint: "One concept asked for in each language, side by side", mount });

const MOST = 20;

// Layers at which the English word is likelier than the answer, and by enough than the answer's null.
export function pivotLayers(row) {
  const found = [];
  row.pivot?.forEach((p, at) => {
    if (p !== null && p > (row.answer[at] ?? 0) && p - (row.null?.[at] ?? 0) >= LEAST_ABOVE_NULL) found.push(at + 1);
  });
  return found;
}

function mount(app) {
  const { store, reading } = app;
  const count = app.open.model.layers;
  const sourceId = newId("source");
  const legend = makeLegend(app);
  const place = h("div", { class: "alternative" });
  const tools = viewTools(app, asTable, place);
  const { box: concept, field } = conceptBox(app, "languages", "choose one", found => {
    label = found?.label ?? null;
    ask();
  });
  const source = h("select", { id: sourceId, disabled: !app.live,
    title: app.live ? null : "This page holds the task's own; latentlang explore has the others.", onchange: () => store.set("source", source.value) }, h("option", { value: "" }, "the task's own"),
    app.open.languages.map(one => h("option", { value: one.code }, one.name)));
  let order = "list";
  const sort = segmented("Sort", [
    { id: "list", label: "as listed" }, { id: "pivot", label: "English leads first" }, { id: "answer", label: "answer" },
  ], order, id => {
    order = id;
    arrange();
  });
  const head = h("tr", {}, h("th", { scope: "col", class: "corner" }, "asked in"),
    [...Array(count).keys()].map(at => h("th", { scope: "col", class: "layer" }, String(at + 1))),
    h("th", { scope: "col", class: "sum answer" }, "answer"), h("th", { scope: "col", class: "sum leads" }, "English leads at"));
  const body = h("tbody");
  const table = h("table", { class: "grid languages", role: "grid", style: { minWidth: `${104 + 264 + 52 * count}px` }, "aria-label": "Languages by layers: likeliest next token of the prompt asked in each language" },
    h("thead", {}, head), body);
  const scroller = h("div", { class: "scroll" }, table);
  const element = h("div", { class: "view languages-view" },
    h("p", { class: "about" }, "The same concept asked for in each language: what each layer would say at the end of the prompt.", app.live ? " Click a row to open its prompt in the grid." : ""),
    h("div", { class: "head" },
      field,
      h("span", { class: "field" }, h("label", { for: sourceId }, "asked from"), source), sort, tools.element),
    h("div", { class: "head second" }, legend.element, strengthKey()), scroller,
    h("p", { class: "help" }, "Columns are layers. “English leads at”: there the English word is likelier than the answer, and by 1% at least than wrong words in the answer's language."),
    place);
  let label = null, visible = false, rows = new Map(), asked = "", wanted = [];

  function languages() {
    const able = app.open.languages.map(one => one.code);
    return [...new Set([...app.open.first.filter(code => able.includes(code)), ...able])].slice(0, MOST);
  }

  function ask() {
    const chosen = label ?? reading.label() ?? app.open.concepts[0]?.label;
    if (!chosen || !reading.data) return;
    concept.value = app.open.concepts.find(one => one.label === chosen)?.name ?? chosen;
    source.value = store.get("source");
    wanted = languages();
    const args = { label: chosen, lens: store.get("lens"), adapter: store.get("adapter"), languages: wanted,
      source: store.get("source") || null, shots: 1 };
    const key = JSON.stringify(args);
    if (key === asked) return;
    asked = key;
    rows = new Map();
    // a row for each that is to come, so that nothing moves when it does
    body.replaceChildren(...wanted.map(code => waiting(code)));
    app.ask("languages", args, {
      part: row => {
        rows.set(row.language, row);
        app.useColours(["en", row.language], { takeOver: false });
        show(row);
        showLegend();
        tools.refresh();
      },
      done: code => {
        for (const line of body.querySelectorAll("tr.waiting")) line.remove(); // the concept has no word there
        tools.setCode(code);
        arrange();
      },
      error: () => { asked = ""; },
    });
  }

  function waiting(code) {
    const name = h("th", { scope: "row", role: "rowheader" }, h("button", { type: "button", class: "open", tabindex: "-1",
      onclick: () => openRow(code, null) }, app.languageName(code)));
    return h("tr", { class: "waiting", "data-language": code }, name,
      [...Array(count).keys()].map(at => h("td", { class: "cell empty", role: "gridcell", tabindex: "-1", "data-layer": at + 1 })),
      h("td", { class: "sum answer" }), h("td", { class: "sum leads" }));
  }

  const lineOf = code => [...body.children].find(line => line.dataset.language === code);

  function show(row) {
    const line = lineOf(row.language);
    if (!line) return;
    line.classList.remove("waiting");
    const cells = [...line.querySelectorAll(".cell")];
    const leads = pivotLayers(row);
    row.cells.forEach((cell, at) => {
      const [token, p] = cell.top[0];
      cells[at].classList.remove("empty");
      paintCell(app, cells[at], token, p);
      const said = `${app.languageName(row.language)}, layer ${at + 1}: ${quoted(token.text)}, ${token.language ? app.languageName(token.language) : "no one language"}, ${percent(p)}`;
      cells[at].setAttribute("aria-label", said);
      cells[at].title = `${said}\nanswer ${percent(row.answer[at])} · English ${percent(row.pivot?.[at])} · wrong words ${percent(row.null?.[at])}`;
    });
    const last = row.answer[row.answer.length - 1];
    line.querySelector(".answer").replaceChildren(h("bdi", { dir: "auto" }, row.asked_word ?? ""), h("span", { class: "value" }, ` ${percent(last)}`));
    line.querySelector(".leads").textContent = row.language === "en" ? "–" : leads.length ? ranges(leads) : "nowhere";
    line.querySelector("button").title = row.prompt;
    if (!body.querySelector('[tabindex="0"]')) cells[0].tabIndex = 0;
    isolate();
  }

  function showLegend() {
    const seen = new Map([["en", 0]]);
    for (const row of rows.values()) for (const cell of row.cells) {
      const code = cell.top[0][0].language;
      if (code) seen.set(code, (seen.get(code) ?? 0) + 1);
    }
    legend.show([...seen].filter(([, times]) => times).sort((a, b) => b[1] - a[1]).slice(0, 10));
  }

  function isolate() {
    const isolated = store.get("isolated");
    for (const cell of body.querySelectorAll("td.cell")) {
      cell.classList.toggle("faint", isolated.length > 0 && !isolated.includes(cell.dataset.language || null));
    }
  }

  function arrange() {
    const first = code => (code === "en" ? Infinity : pivotLayers(rows.get(code) ?? {})[0] ?? Infinity);
    const answer = code => -(rows.get(code)?.answer.at(-1) ?? -1);
    const by = { list: code => wanted.indexOf(code), pivot: first, answer }[order];
    const focused = document.activeElement;
    body.append(...[...body.children].sort((a, b) => by(a.dataset.language) - by(b.dataset.language)
      || wanted.indexOf(a.dataset.language) - wanted.indexOf(b.dataset.language)));
    if (body.contains(focused)) focused.focus();
    tools.refresh();
  }

  function openRow(code, layer) {
    const row = rows.get(code);
    if (!row) return;
    if (app.openPrompt(row.prompt, { layer })) app.announce(`the prompt in ${app.languageName(code)} is read`);
  }

  body.addEventListener("click", event => {
    const cell = event.target.closest("td.cell"), line = event.target.closest("tr");
    if (!line || event.target.closest("button")) return;
    openRow(line.dataset.language, cell ? Number(cell.dataset.layer) : null);
  });
  body.addEventListener("keydown", event => {
    const cell = event.target.closest("td.cell");
    if (!cell) return;
    const line = cell.parentElement, at = Number(cell.dataset.layer);
    const to = { ArrowLeft: [line, at - 1], ArrowRight: [line, at + 1], ArrowUp: [line.previousElementSibling, at],
      ArrowDown: [line.nextElementSibling, at], Home: [line, 1], End: [line, count] }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      openRow(line.dataset.language, at);
    }
    if (!to) return;
    event.preventDefault();
    const next = to[0]?.querySelector(`td.cell[data-layer="${to[1]}"]`);
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // To where the answers begin: the last layer, and beside it, where there is room, the answers' own columns.
  function toAnswers() {
    const beside = table.querySelector("th.answer").offsetWidth + table.querySelector("th.leads").offsetWidth;
    const room = scroller.clientWidth - head.firstChild.offsetWidth;
    scroller.scrollLeft = scroller.scrollWidth - scroller.clientWidth - (room < 2 * beside ? beside : 0);
  }

  function asTable() {
    if (!rows.size) return h("p", {}, "Nothing is read.");
    return h("div", { class: "scroll" }, tableOf("Likeliest next token of each layer, by language that is asked for",
      ["language", ...[...Array(count).keys()].map(at => `layer ${at + 1}`), "answer", "p of the answer", "English leads at layers"],
      [...body.children].map(line => rows.get(line.dataset.language)).filter(Boolean).map(row => [app.languageName(row.language),
        ...row.cells.map(cell => [tokenSpan(cell.top[0][0]), ` ${cell.top[0][0].language ?? ""} ${percent(cell.top[0][1])}`]),
        h("bdi", { dir: "auto" }, row.asked_word ?? ""), percent(row.answer.at(-1)), ranges(pivotLayers(row))])));
  }

  store.subscribe(["asked", "prompt"], () => { label = null; });
  store.subscribe(["reading", "lens", "adapter", "source"], () => visible && ask());
  store.subscribe("isolated", isolate);
  store.subscribe("palette", () => {
    for (const row of rows.values()) show(row);
    showLegend();
  });
  return { element, show() {
      visible = true;
      ask();
      toAnswers();
    }, hide() { visible = false; } };
}
