// A saved result: what it says, what lies behind its cells or points, its table, and where it came from.
import { h, newId, percent, svg, tableOf } from "./dom.js";
import { languageMark, segmented, viewTools } from "./controls.js";
import { strength } from "./colours.js";
import { VIEWS } from "./registry.js";
import { markPicture, scatter } from "./scatter.js";

VIEWS.push({ id: "saved", title: "Result", needs: "saved", mount, hint: "The saved result that this page was opened with" });

function mount(app) {
  const told = app.open.saved;
  if (!told) return { element: h("p", {}, "No result was opened."), show: () => {}, hide: () => {} };
  const known = new Map([...(told.languages ?? []), ...app.open.languages].map(one => [one.code, one.name]));
  const name = code => known.get(code) ?? code;
  app.useColours((told.languages ?? []).map(one => one.code));
  const place = h("div", { class: "alternative" });
  const panes = { heat: heatPane, points: pointsPane };
  const made = told.panes.filter(id => panes[id]).map(id => panes[id](app, told, { name, setCode: code => tools.setCode(code), tell }));
  const tools = viewTools(app, () => made.map(pane => pane.table()).flat(), place);
  const words = h("div", { class: "said-of" });
  const rows = tablePane(app, told, code => tools.setCode(code));
  const element = h("div", { class: "view saved-view" },
    h("div", { class: "head" }, h("h3", {}, told.headline), made.length ? tools.element : tools.element.firstChild),
    words, made.map(pane => pane.element), rows.element,
    h("details", { class: "fold" }, h("summary", {}, "Where it came from"),
      h("div", { class: "scroll" }, tableOf("Provenance", ["", ""], told.provenance))),
    place);
  let started = false;

  function tell(text) {
    app.announce(text);
    tools.refresh();
  }

  function start() {
    if (started) return;
    started = true;
    for (const pane of made) pane.start();
    if (!made.length) rows.start();
    app.ask("saved", { what: "words" }, { part: data => {
      words.replaceChildren(...data.text.split("\n").filter(Boolean).map(line => h("p", {}, line)));
    }, done: code => { if (!made.length) tools.setCode(code); } }, "saved words");
  }
  return { element, show: start, hide: () => {}, close: () => { for (const pane of made) pane.close?.(); } };
}

// Opens a prompt in the grid where a model is loaded.
function openButton(app, prompt, layer = null, label = "Look at it in the grid") {
  if (!prompt || !app.live || !app.open.model || !app.open.views.includes("grid")) return null;
  return h("button", { type: "button", class: "quiet", title: prompt, onclick: () => app.openPrompt(prompt, { layer, view: "grid" }) }, label);
}

// --- the lens in all languages: languages by layers ---------------------------------------------------------------

function heatPane(app, told, { name, setCode, tell }) {
  const state = { target: null, heat: null, cell: null, items: null, item: null };
  const chooser = h("div", {});
  const head = h("tr"), body = h("tbody");
  const table = h("table", { class: "grid small heat", role: "grid", "aria-label": "Languages by layers: mean probability of the right word" },
    h("thead", {}, head), body);
  const items = h("div", { class: "items", "aria-live": "polite" }), curves = h("div", { class: "item" });
  const element = h("div", { class: "pane" },
    h("p", { class: "help" }, "Each cell: the mean probability of a language’s right word in per cent, less the same of wrong words (the null). Click one, or press Enter on it, for the items behind it."),
    chooser, h("div", { class: "scroll" }, table), h("div", { class: "two" }, items, curves));
  let cells = new Map(), current = null;

  function ask(target) {
    app.ask("saved", { what: "heat", target }, { part: show, done: setCode }, "saved heat");
  }

  function show(data) {
    state.heat = data;
    state.target = data.target;
    if (data.targets.length > 1 && !chooser.firstChild) {
      chooser.append(segmented("Asked for in", data.targets.map(code => ({ id: code, label: name(code) })), data.target, ask));
    }
    head.replaceChildren(h("th", { class: "corner", scope: "col" }, "layer"), ...data.layers.map(layer => h("th", { scope: "col" }, String(layer))));
    const most = Math.max(1e-9, ...data.languages.flatMap((_, row) => data.layers.map((__, at) => above(row, at) ?? 0)));
    cells = new Map();
    body.replaceChildren(...data.languages.map((code, row) => {
      const { slot, pattern } = app.colours(code);
      const line = data.layers.map((layer, at) => {
        const value = above(row, at);
        const cell = h("td", { class: "cell", role: "gridcell", tabindex: "-1", "data-slot": slot, "data-row": row, "data-at": at,
          title: `${name(code)}, layer ${layer}: right word ${percent(data.answer[row][at])}, wrong words ${percent(data.null[row][at])}, ${data.n[row][at]} items` },
        value === null ? "" : short(value));
        cell.setAttribute("aria-label", cell.title);
        cell.style.setProperty("--share", `${100 * strength(Math.max(0, value ?? 0) / most)}%`);
        return cell;
      });
      cells.set(row, line);
      return h("tr", {}, h("th", { scope: "row", role: "rowheader" }, h("span", { class: `mark ${pattern}`, "data-slot": slot, "aria-hidden": "true" }),
        ` ${name(code)} `, h("span", { class: "code" }, code)), line);
    }));
    move(0, data.layers.length - 1, false);
    tell(`${data.languages.length} languages by ${data.layers.length} layers`);
  }
  const short = value => (Math.abs(value) < 0.005 ? "" : (100 * value).toFixed(value < 0.0995 ? 1 : 0));
  function above(row, at) {
    const [answer, wrong] = [state.heat.answer[row][at], state.heat.null[row][at]];
    return answer === null ? null : answer - (wrong ?? 0);
  }

  function move(row, at, focus) {
    if (current) current.tabIndex = -1;
    current = cells.get(row)?.[at] ?? null;
    if (!current) return;
    current.tabIndex = 0;
    if (focus) current.focus();
  }
  body.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (cell) open(Number(cell.dataset.row), Number(cell.dataset.at));
  });
  body.addEventListener("keydown", event => {
    const cell = event.target.closest("td");
    if (!cell) return;
    const row = Number(cell.dataset.row), at = Number(cell.dataset.at);
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) move(Math.min(cells.size - 1, Math.max(0, row + step[0])), Math.min(state.heat.layers.length - 1, Math.max(0, at + step[1])), true);
    else if (event.key === "Enter" || event.key === " ") open(row, at);
    else return;
    event.preventDefault();
  });

  function open(row, at) {
    const { heat } = state;
    for (const cell of body.querySelectorAll(".here")) cell.classList.remove("here");
    move(row, at, false);
    current.classList.add("here");
    state.cell = { language: heat.languages[row], layer: heat.layers[at] };
    curves.replaceChildren();
    state.item = null;
    app.ask("saved", { what: "items", target: state.target, ...state.cell }, { part: showItems, done: setCode }, "saved items");
  }

  function showItems(data) {
    state.items = data;
    items.replaceChildren(
      h("h3", {}, `${name(data.language)} at layer ${data.layer}: ${data.total} items`),
      h("div", { class: "scroll short" }, h("table", { class: "plain" },
        h("thead", {}, h("tr", {}, ["item", "word", "right word", "wrong words"].map(text => h("th", { scope: "col" }, text)))),
        h("tbody", {}, data.items.map(one => h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "quiet",
          onclick: () => openItem(one.item) }, one.item)),
        h("td", {}, h("bdi", { dir: "auto" }, one.word)), h("td", { class: "number" }, percent(one.answer)), h("td", { class: "number" }, percent(one.null))))))),
      data.total > data.items.length ? h("p", { class: "quietly" }, `The first ${data.items.length}, those that stand highest above wrong words.`) : "");
    tell(`${data.total} items behind ${name(data.language)} at layer ${data.layer}`);
  }

  function openItem(item) {
    app.ask("saved", { what: "item", target: state.target, item }, { part: data => {
      state.item = data;
      showItem(data);
    }, done: setCode }, "saved item");
  }

  function showItem(data) {
    const WIDTH = 520, HEIGHT = 220, LEFT = 40, RIGHT = 110, TOP = 10, BOTTOM = 30;
    const shown = data.curves.filter(one => one.answer.some(p => p !== null))
      .sort((a, b) => Math.max(...b.answer.map(p => p ?? 0)) - Math.max(...a.answer.map(p => p ?? 0))).slice(0, 8);
    const highest = Math.max(0.01, ...shown.flatMap(one => one.answer.map(p => p ?? 0)));
    const x = at => LEFT + ((WIDTH - LEFT - RIGHT) * at) / Math.max(1, data.layers.length - 1);
    const y = p => TOP + (HEIGHT - TOP - BOTTOM) * (1 - p / highest);
    const path = values => values.map((p, at) => (p === null ? "" : `${at && values[at - 1] !== null ? "L" : "M"}${x(at).toFixed(1)} ${y(p).toFixed(1)}`)).join(" ");
    const ends = shown.map(one => ({ one, y: y(one.answer[one.answer.length - 1] ?? 0) })).sort((a, b) => a.y - b.y);
    ends.forEach((end, index) => { if (index) end.y = Math.max(end.y, ends[index - 1].y + 14); });
    let below = HEIGHT - BOTTOM + 4;
    for (const end of [...ends].reverse()) {
      end.y = Math.min(end.y, below);
      below = end.y - 14;
    }
    const every = Math.ceil(data.layers.length / 10);
    curves.replaceChildren(
      h("h3", {}, `${data.item}, asked for in ${name(data.target)}`),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "lines", role: "img", "aria-label": `What each layer gives each language’s word for ${data.item}; the table says the same` },
        [0, highest].map(p => [svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(p), y2: y(p) }),
          svg("text", { class: "tick", x: LEFT - 5, y: y(p) + 4, "text-anchor": "end" }, percent(p))]),
        data.layers.map((layer, at) => (at % every && at !== data.layers.length - 1 ? null : svg("text", { class: "tick", x: x(at), y: HEIGHT - 10, "text-anchor": "middle" }, String(layer)))),
        shown.map(one => {
          const { colour, dash } = app.colours(one.language);
          return svg("g", { style: { color: colour } }, svg("path", { class: "null", d: path(one.null) }),
            svg("path", { class: "curve", d: path(one.answer), "stroke-dasharray": dash }));
        }),
        ends.map(({ one, y: at }) => svg("text", { class: "end", x: x(data.layers.length - 1) + 8, y: at + 4 }, `\u2068${one.word || name(one.language)}\u2069 ${one.language}`))),
      h("p", { class: "quietly" }, "Dotted: wrong words."),
      data.prompt ? h("p", {}, h("bdi", { dir: "auto", class: "prompt-text" }, data.prompt)) : "",
      ...[openButton(app, data.prompt, state.cell?.layer ?? null)].filter(Boolean));
    tell(`lens of ${data.item}`);
  }

  app.store.subscribe("palette", () => {
    if (state.heat) show(state.heat);
    if (state.item) showItem(state.item);
  });
  return {
    element, start: () => ask(null),
    table: () => {
      const { heat, item } = state;
      if (!heat) return [];
      const tables = [h("div", { class: "scroll" }, tableOf("Right word, wrong words in brackets, by language and layer", ["language", ...heat.layers.map(String)],
        heat.languages.map((code, row) => [name(code), ...heat.layers.map((_, at) => `${percent(heat.answer[row][at])} (${percent(heat.null[row][at])})`)])))];
      if (item) {
        tables.push(h("div", { class: "scroll" }, tableOf(`${item.item}: right word, wrong words in brackets`, ["language", ...item.layers.map(String)],
          item.curves.map(one => [name(one.language), ...one.answer.map((p, at) => `${percent(p)} (${percent(one.null[at])})`)]))));
      }
      return tables;
    },
  };
}

// --- PCA: prompts on two axes --------------------------------------------------------------------------------------

function pointsPane(app, told, { name, setCode, tell }) {
  const state = { data: null, at: 0, chosen: null };
  const plot = scatter(app, { choose, themed: () => state.data && drawLegend() });
  const sliderId = newId("layer");
  const slider = h("input", { id: sliderId, type: "range", min: "0", max: "0", step: "1", value: "0", oninput: () => layer(Number(slider.value)) });
  const says = h("output", { class: "says" });
  const lockId = newId("lock");
  const lock = h("input", { id: lockId, type: "checkbox", checked: true, onchange: () => plot.lock(lock.checked) });
  const chooser = h("div", {}), legend = h("div", { class: "legend" }), note = h("p", { class: "note" }), prompts = h("div", { class: "prompts", "aria-live": "polite" });
  const element = h("div", { class: "pane" },
    h("p", { class: "help" }, "Each point is a prompt. Draw around points for their prompts; hover over one for its translations. With the keyboard: left and right go through the points, up and down through translations, Enter chooses."),
    h("div", { class: "row" }, chooser, h("div", { class: "field" }, h("label", { for: sliderId }, "Layer"), slider, says),
      h("label", { for: lockId, class: "check" }, lock, " same axes at all layers")),
    legend, plot.element, note, prompts);

  function ask(wanted) {
    app.ask("saved", { what: "points", state: wanted }, { part: show, done: setCode }, "saved points");
  }

  function show(data) {
    state.data = data;
    state.chosen = null;
    prompts.replaceChildren();
    if (data.states.length > 1 && !chooser.firstChild) chooser.append(segmented("Model", data.states.map(id => ({ id, label: id })), data.state, ask));
    slider.max = String(data.layers.length - 1);
    drawLegend();
    note.textContent = data.total > data.rows.length
      ? `${data.rows.length} of ${data.total} prompts, the same items of each language; result.to_atlas() writes all of them for Embedding Atlas.` : "";
    plot.show(data);
    slider.value = String(data.layers.length - 1);
    layer(data.layers.length - 1);
  }

  function drawLegend() {
    const isolated = app.store.get("isolated");
    legend.replaceChildren(...[...new Set(state.data.language)].map(code => h("button", { type: "button", class: "language", "aria-pressed": String(isolated.includes(code)),
      onclick: () => app.store.set("isolated", isolated.includes(code) ? isolated.filter(other => other !== code) : [...isolated, code]) },
    markPicture(app, code), h("span", {}, name(code)), h("span", { class: "code" }, code))));
  }

  function layer(at) {
    state.at = at;
    const share = state.data.share[at] ?? [];
    says.textContent = `${state.data.layers[at]}${share[0] === null || share[0] === undefined ? "" : `: the axes hold ${percent(share[0])} and ${percent(share[1])} of the variance`}`;
    slider.setAttribute("aria-valuetext", `layer ${state.data.layers[at]}`);
    plot.layer(at);
  }

  function choose(indices) {
    if (!indices.length) {
      prompts.replaceChildren();
      state.chosen = null;
      return;
    }
    app.ask("saved", { what: "prompts", state: state.data.state, rows: indices.map(index => state.data.rows[index]) }, {
      part: data => {
        state.chosen = data;
        prompts.replaceChildren(h("h3", {}, `${data.total} prompts chosen`), h("div", { class: "scroll short" }, h("table", { class: "plain" },
          h("thead", {}, h("tr", {}, ["item", "language", "prompt", ""].map(text => h("th", { scope: "col" }, text)))),
          h("tbody", {}, data.prompts.map(one => h("tr", {}, h("th", { scope: "row" }, one.label || one.item),
            h("td", {}, languageMark(app, one.language), ` ${name(one.language)}`), h("td", { class: "long" }, h("bdi", { dir: "auto" }, one.text)),
            h("td", {}, openButton(app, one.text, state.data.layers[state.at], "Open") ?? "")))))));
        tell(`${data.total} prompts chosen`);
      },
      done: setCode,
    }, "saved prompts");
  }

  app.store.subscribe(["palette", "isolated"], () => {
    if (!state.data) return;
    drawLegend();
    plot.draw();
  });
  return {
    element, start: () => ask(null), close: plot.close,
    table: () => {
      const { data, at } = state;
      if (!data) return [];
      return [h("div", { class: "scroll" }, tableOf(`Layer ${data.layers[at]}: the first 200 points`, ["item", "language", "prompt", "axis 1", "axis 2"],
        data.rows.slice(0, 200).map((_, index) => [data.label[index] || data.item[index], name(data.language[index]),
          h("bdi", { dir: "auto" }, data.question[index]), data.x[at][index].toFixed(2), data.y[at][index].toFixed(2)])))];
    },
  };
}

// --- the table of any result -----------------------------------------------------------------------------------------

function tablePane(app, told, setCode) {
  const box = h("div", { class: "scroll" });
  const fold = h("details", { class: "fold", ontoggle: () => { if (fold.open) start(); } },
    h("summary", {}, `Table: ${told.rows.toLocaleString("en")} rows`), box);
  let sort = null, descending = false, started = false;

  function start() {
    fold.open = true;
    if (started) return;
    started = true;
    ask();
  }

  function ask() {
    app.ask("saved", { what: "table", sort, descending }, { part: show, done: setCode }, "saved table");
  }

  function show(data) {
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.column : null;
    box.replaceChildren(h("table", { class: "plain" },
      h("caption", {}, data.total > data.rows.length ? `The first ${data.rows.length} of ${data.total.toLocaleString("en")} rows` : `${data.total} rows`),
      h("thead", {}, h("tr", {}, data.columns.map(column => h("th", { scope: "col", "aria-sort": column !== sort ? "none" : descending ? "descending" : "ascending" },
        h("button", { type: "button", class: "quiet", "data-column": column, onclick: () => {
          descending = sort === column ? !descending : false;
          sort = column;
          ask();
        } }, column, column === sort ? (descending ? " ↓" : " ↑") : ""))))),
      h("tbody", {}, data.rows.map(row => h("tr", {}, row.map((value, index) => h("td", { class: data.numbers[index] ? "number" : "long" },
        h("bdi", { dir: "auto" }, value === null ? "–" : String(value)))))))));
    if (focused !== null) box.querySelector(`button[data-column="${CSS.escape(focused)}"]`)?.focus();
  }
  return { element: fold, start };
}
