// The grid: layers by tokens, the last layer on top; a cell is the likeliest token, coloured by its language.
import { h, number, percent, quoted, ranges, tableOf, tokenSpan } from "./dom.js";
import { NO_ONE, makeLegend, paintCell, strengthKey, tokenBars, viewTools } from "./controls.js";
import { strength } from "./colours.js";
import { layerStrip } from "./strip.js";
import { VIEWS } from "./registry.js";

VIEWS.push({ id: "grid", title: "Grid", needs: "grid", hint: "Every layer's likeliest token after every token", mount });

const MOST_IN_LEGEND = 10;
const SMALL = 0.005; // a change of probability that is not worth a sign

// How the likeliest token of a cell differs from what the first lens or adapter gives it.
function change(cell, base) {
  const [token, p] = cell.top[0];
  const known = base.top.find(([other]) => other.id === token.id);
  const most = base.top[base.top.length - 1][1];
  const by = p - (known ? known[1] : most);
  return { before: known ? known[1] : null, most,
    sign: Math.abs(by) < SMALL ? "" : known || by > 0 ? (by > 0 ? "+" : "−") : "?", by };
}

function mount(app) {
  const { store, reading } = app;
  const count = app.open.model.layers;
  const legend = makeLegend(app);
  const place = h("div", { class: "alternative" });
  const tools = viewTools(app, asTable, place);
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { class: "grid", role: "grid", "aria-label": "Layers by tokens: likeliest token of each cell",
    "aria-rowcount": count + 1 }, h("thead", {}, head), body);
  const scroller = h("div", { class: "scroll" }, table);
  const details = h("aside", { class: "details", "aria-label": "Chosen cell" });
  const windows = h("div", { class: "windows", hidden: true });
  const note = h("p", { class: "note" });
  const strip = layerStrip(app, range => store.set("range", range));
  const element = h("div", { class: "view grid-view" },
    h("p", { class: "about" }, "What each layer would say next, after each token of the prompt, in the colour of its language. The last layer, on top, is the model's output."),
    h("div", { class: "head" }, legend.element, strengthKey(), tools.element),
    h("div", { class: "beside" }, h("div", { class: "left" }, windows, scroller, strip.element, note,
      h("p", { class: "on-paper" }, "Of a longer prompt the last eight tokens are printed, where the answer is.")), details),
    h("p", { class: "help" }, "Click a cell or move with the arrow keys; Shift with a click or an arrow compares two; Enter pins the token for Words. ", NO_ONE),
    place);
  let built = null;
  let rows = new Map();
  let current = null;

  const cellAt = (layer, position) => rows.get(layer)?.cells[position];
  const layersShown = () => {
    const [low, high] = store.get("range").length === 2 ? store.get("range") : [1, count];
    return [Math.max(1, low), Math.min(count, high)];
  };

  const positionsOf = ({ window: { from, to } }) => Array.from({ length: to - from }, (_, at) => from + at);

  function build(data) {
    built = data;
    rows = new Map();
    head.replaceChildren(h("th", { class: "corner", scope: "col" }, "layer"), ...positionsOf(data).map(position =>
      h("th", { scope: "col", "data-position": position, title: `token ${position + 1} of ${data.tokens.length}: ${quoted(data.tokens[position].text)}` },
        tokenSpan(data.tokens[position]))));
    const lines = [];
    for (let layer = count; layer >= 1; layer -= 1) {
      const header = h("th", { scope: "row", role: "rowheader" }, String(layer));
      const cells = [];
      for (const position of positionsOf(data)) {
        cells[position] = h("td", { class: "cell empty", role: "gridcell", tabindex: "-1", "data-layer": layer, "data-position": position });
      }
      const row = h("tr", { "data-layer": layer }, header, Object.values(cells));
      rows.set(layer, { row, header, cells });
      lines.push(row);
    }
    body.replaceChildren(...lines);
    table.setAttribute("aria-colcount", String(data.window.to - data.window.from + 1));
    const { from, to } = data.window, length = data.tokens.length;
    windows.replaceChildren(...(to - from === length ? [] : [
      h("span", { class: "quietly" }, `Tokens ${from + 1} to ${to} of ${length}`),
      h("button", { type: "button", class: "quiet", disabled: from === 0, onclick: () => store.set({ from: Math.max(0, from - (to - from)), position: null }) }, "Earlier"),
      h("button", { type: "button", class: "quiet", disabled: to === length, onclick: () => store.set({ from: Math.min(to, Math.max(0, length - (to - from))), position: null }) }, "Later"),
    ]));
    windows.hidden = to - from === length;
    current = null;
    toEnd();
  }

  // The end of the prompt is where the answer begins.
  function toEnd() {
    scroller.scrollLeft = scroller.scrollWidth;
  }

  function paint(data, positions) {
    for (const position of positions) {
      const column = data.cells[position];
      if (!column) continue;
      column.forEach((cell, index) => {
        const layer = index + 1, at = cellAt(layer, position), [token, p] = cell.top[0];
        const base = reading.isDifference() ? data.base[position]?.[index] : null;
        at.classList.remove("empty");
        paintCell(app, at, token, p);
        let said = `${token.language ? app.languageName(token.language) : "no one language"}, ${percent(p)}`;
        at.classList.toggle("changed", Boolean(base));
        if (base) {
          const { by, sign, before, most } = change(cell, base);
          at.style.setProperty("--share", `${100 * strength(Math.abs(by))}%`);
          at.classList.toggle("less", sign === "−");
          at.classList.toggle("same", sign === "");
          at.lastChild.textContent = `${sign}${token.language ?? ""}`;
          said += `, before ${before === null ? `at most ${percent(most)}` : percent(before)}`;
        } else at.classList.remove("less", "same");
        at.setAttribute("aria-label", `layer ${layer}, after ${quoted(data.tokens[position].text)}: ${quoted(token.text)}, ${said}`);
        at.title = `layer ${layer}, after ${quoted(data.tokens[position].text)}\n${quoted(token.text)} ${said}`
          + (data.unreliable.includes(layer) ? "\nhere the lens says no more than how frequent tokens are" : "");
      });
    }
  }

  function showLegend(data) {
    const seen = new Map();
    for (const code of ["en", data.asked, ...data.named].filter(Boolean)) seen.set(code, 0);
    let none = 0;
    for (const column of data.cells) {
      for (const cell of column ?? []) {
        const code = cell.top[0][0].language;
        if (code) seen.set(code, (seen.get(code) ?? 0) + 1);
        else none += 1;
      }
    }
    const shown = [...seen].filter(([, times]) => times).sort((a, b) => b[1] - a[1]).slice(0, MOST_IN_LEGEND);
    legend.show(none ? [...shown, [null, none]] : shown);
  }

  function isolate() {
    const isolated = store.get("isolated");
    table.classList.toggle("isolating", isolated.length > 0);
    for (const cell of body.querySelectorAll("td")) {
      cell.classList.toggle("faint", isolated.length > 0 && !isolated.includes(cell.dataset.language || null));
    }
  }

  function showRange() {
    const [low, high] = layersShown();
    for (const [layer, { row }] of rows) row.hidden = layer < low || layer > high;
    strip.show(low, high);
  }

  function mark() {
    if (!reading.data || !built) return;
    const layer = reading.layer(), position = reading.position(), compare = store.get("compare");
    for (const cell of table.querySelectorAll(".here, .other")) {
      cell.classList.remove("here", "other");
      cell.removeAttribute("aria-selected");
    }
    for (const th of table.querySelectorAll("th.now")) th.classList.remove("now");
    if (current) current.tabIndex = -1;
    current = cellAt(layer, position);
    if (!current) return;
    current.tabIndex = 0;
    current.classList.add("here");
    current.setAttribute("aria-selected", "true");
    rows.get(layer).header.classList.add("now");
    head.children[position - reading.data.window.from + 1]?.classList.add("now");
    if (compare) {
      const other = cellAt(compare.layer, compare.position);
      other?.classList.add("other");
      other?.setAttribute("aria-selected", "true");
    }
    showDetails();
    strip.paint(reading.data.cells[position], layer);
  }

  function cellDetails(name, layer, position) {
    const { data } = reading;
    const cell = data.cells[position]?.[layer - 1];
    const base = reading.isDifference() ? data.base[position]?.[layer - 1] : null;
    const title = h("h3", {}, name ? h("span", { class: "letter" }, name) : null, `Layer ${layer}`,
      h("span", { class: "quietly" }, ` of ${count}, after `), tokenSpan(data.tokens[position]));
    if (!cell) return h("div", { class: "one" }, title, h("p", { class: "quietly" }, "not read yet"));
    const [token] = cell.top[0];
    return h("div", { class: "one" }, title,
      data.unreliable.includes(layer)
        ? h("p", { class: "warning" }, "Here the lens says no more than how frequent tokens are.") : null,
      tokenBars(app, cell.top),
      h("dl", {},
        h("div", { title: "of the distribution over all tokens" }, h("dt", {}, "entropy"), h("dd", {}, `${number(cell.entropy)} bits`)),
        h("div", { title: "Kullback-Leibler divergence of the model's output from this layer's" }, h("dt", {}, "KL to the output"), h("dd", {}, `${number(cell.kl)} bits`))),
      base ? [h("h4", {}, `${reading.first()}, for comparison`, h("span", { class: "quietly" }, ` · KL ${number(base.kl)} bits`)), tokenBars(app, base.top)] : null,
      h("button", { type: "button", class: "quiet", onclick: () => app.pinToken(token) }, "Pin ", tokenSpan(token), " for Words"));
  }

  function showDetails() {
    if (!reading.data) return;
    const compare = store.get("compare");
    const valid = compare && cellAt(compare.layer, compare.position);
    const one = cellDetails(valid ? "A" : "", reading.layer(), reading.position());
    details.classList.toggle("two", Boolean(valid));
    details.replaceChildren(one);
    if (valid) {
      details.append(cellDetails("B", compare.layer, compare.position),
        h("button", { type: "button", class: "quiet", onclick: () => store.set("compare", null) }, "End comparing"));
    }
  }

  function update() {
    const { data } = reading;
    element.classList.toggle("nothing", !data);
    if (!data) {
      built = null;
      head.replaceChildren();
      body.replaceChildren();
      details.replaceChildren();
      return;
    }
    const same = built && built.tokens.length === data.tokens.length && built.window.from === data.window.from
      && built.window.to === data.window.to && built.tokens.every((token, at) => token.id === data.tokens[at].id);
    if (!same) build(data);
    else built = data;
    paint(data, data.fresh.length ? data.fresh : []);
    if (data.fresh.length) showLegend(data);
    data.fresh = [];
    for (const [layer, { row, header }] of rows) {
      const bad = data.unreliable.includes(layer);
      row.classList.toggle("unreliable", bad);
      header.title = bad ? "unreliable: the lens says no more than how frequent tokens are" : "";
    }
    note.textContent = data.unreliable.length
      ? `Grey: at layer${data.unreliable.length > 1 ? "s" : ""} ${ranges(data.unreliable)} the lens says no more than how frequent tokens are.` : "";
    showRange();
    isolate();
    mark();
    tools.setCode(data.code);
    tools.refresh();
  }

  function go(layer, position, focus) {
    store.set({ layer, position: position === reading.data.window.to - 1 ? null : position });
    if (focus) current?.focus({ preventScroll: true });
    reveal(current);
  }

  // Into view inside the grid alone, beside its sticky heads; a notebook around it stays where it is.
  function reveal(cell) {
    if (!cell) return;
    const box = scroller.getBoundingClientRect(), at = cell.getBoundingClientRect();
    const left = box.left + rows.get(Number(cell.dataset.layer)).header.offsetWidth, top = box.top + head.offsetHeight;
    if (at.left < left) scroller.scrollLeft -= left - at.left;
    if (at.right > box.left + scroller.clientWidth) scroller.scrollLeft += at.right - box.left - scroller.clientWidth;
    if (at.top < top) scroller.scrollTop -= top - at.top;
    if (at.bottom > box.top + scroller.clientHeight) scroller.scrollTop += at.bottom - box.top - scroller.clientHeight;
  }

  const placeOf = cell => ({ layer: Number(cell.dataset.layer), position: Number(cell.dataset.position) });

  body.addEventListener("mousedown", event => {
    if (event.shiftKey) event.preventDefault(); // or the browser selects text from here to there
  });
  body.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (!cell) {
      const row = event.target.closest("tr");
      if (row) go(Number(row.dataset.layer), reading.position(), false);
      return;
    }
    const { layer, position } = placeOf(cell);
    if (event.shiftKey) store.set("compare", { layer, position });
    else go(layer, position, true);
  });
  head.addEventListener("click", event => {
    const th = event.target.closest("th[data-position]");
    if (th) go(reading.layer(), Number(th.dataset.position), false);
  });
  body.addEventListener("keydown", event => {
    const cell = event.target.closest("td");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const comparing = event.shiftKey;
    let { layer, position } = comparing ? store.get("compare") ?? placeOf(cell) : placeOf(cell);
    const [low, high] = layersShown(), { from: start, to } = reading.data.window, end = to - 1;
    const moves = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key in moves) {
      layer += moves[event.key][0];
      position += moves[event.key][1];
    } else if (event.key === "Home") position = start;
    else if (event.key === "End") position = end;
    else if (event.key === "PageUp") layer = high;
    else if (event.key === "PageDown") layer = low;
    else if (event.key === "Escape") return store.set("compare", null);
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const chosen = reading.data.cells[position]?.[layer - 1];
      if (chosen) app.pinToken(chosen.top[0][0]);
      return undefined;
    } else return undefined;
    event.preventDefault();
    layer = Math.min(high, Math.max(low, layer));
    position = Math.min(end, Math.max(start, position));
    if (comparing) {
      store.set("compare", { layer, position });
      reveal(cellAt(layer, position));
    } else go(layer, position, true);
    return undefined;
  });

  function asTable() {
    const { data } = reading;
    if (!data) return null;
    const [low, high] = layersShown();
    const layers = [];
    for (let layer = high; layer >= low; layer -= 1) layers.push(layer);
    return h("div", { class: "scroll" }, tableOf("Likeliest token of each layer after each token, its language and probability",
      ["layer", ...positionsOf(data).map(at => quoted(data.tokens[at].text))],
      layers.map(layer => [String(layer), ...positionsOf(data).map(at => data.cells[at]).map(column => {
        if (!column) return "";
        const [token, p] = column[layer - 1].top[0];
        return [tokenSpan(token), ` ${token.language ?? ""} ${percent(p)}`];
      })])));
  }

  store.subscribe("reading", update);
  store.subscribe("palette", () => {
    if (reading.data && built) {
      paint(reading.data, reading.data.cells.map((_, at) => at));
      showLegend(reading.data);
      mark();
    }
  });
  store.subscribe(["layer", "position", "compare"], mark);
  store.subscribe("range", () => {
    showRange();
    tools.refresh();
  });
  store.subscribe("isolated", isolate);
  store.subscribe("difference", () => {
    if (reading.data) paint(reading.data, reading.data.cells.map((_, at) => at));
  });
  return { element, show: () => {
    reading.useColours();
    if (store.get("position") === null) toEnd();
    else reveal(current);
  }, hide: () => {} };
}
