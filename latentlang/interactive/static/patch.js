// Patch: a cell of one prompt is put into a cell of another, by dragging, by two clicks, or by Enter and Enter.
import { h, newId, number, percent, quoted, svg, tableOf, tokenSpan } from "./dom.js";
import { languageMark, paintCell, tokenBars, viewTools } from "./controls.js";
import { VIEWS } from "./registry.js";

VIEWS.push({ id: "patch", title: "Patch", needs: "patch", mount,
  hint: "Put what one prompt holds at a layer and token into another prompt, and see what it answers" });

const APART = 5; // pixels that a press may move and still be a click
const WIDTH = 460, HEIGHT = 230, LEFT = 42, RIGHT = 118, TOP = 12, BOTTOM = 34; // of the chart

// One prompt, layers by tokens, small; moves(cell) is told of a chosen cell, drop and drag of a pointer.
function compactGrid(app, title, act) {
  const count = app.open.model.layers;
  const head = h("tr"), body = h("tbody");
  const table = h("table", { class: "grid small", role: "grid", "aria-label": title, "aria-rowcount": count + 1 },
    h("thead", {}, head), body);
  const scroller = h("div", { class: "scroll" }, table);
  let tokens = [], first = 0, cells = new Map(), current = null;
  const at = (layer, position) => cells.get(layer)?.[position - first] ?? null;

  function build(data) {
    tokens = data.tokens;
    first = data.window?.from ?? 0;
    const shown = tokens.slice(first, data.window?.to ?? tokens.length);
    cells = new Map();
    head.replaceChildren(h("th", { class: "corner", scope: "col" }, "layer"), ...shown.map((token, index) =>
      h("th", { scope: "col", title: `token ${first + index}: ${quoted(token.text)}` }, tokenSpan(token))));
    const rows = [];
    for (let layer = count; layer >= 1; layer -= 1) {
      const row = shown.map((_, index) => h("td", { class: "cell empty", role: "gridcell", tabindex: "-1",
        "data-layer": layer, "data-position": first + index }));
      cells.set(layer, row);
      rows.push(h("tr", {}, h("th", { scope: "row", role: "rowheader" }, String(layer)), row));
    }
    body.replaceChildren(...rows);
    move(count, tokens.length - 1, false);
    scroller.scrollLeft = scroller.scrollWidth;
  }

  function paint(data) {
    data.positions.forEach((position, index) => data.cells[index].forEach((cell, below) => {
      const layer = below + 1, place = at(layer, position), [token, p] = cell.top[0];
      if (!place) return;
      place.classList.remove("empty");
      paintCell(app, place, token, p);
      place.title = `layer ${layer}, after ${quoted(tokens[position].text)}: ${quoted(token.text)} ${percent(p)}`;
      place.setAttribute("aria-label", place.title);
    }));
  }

  function move(layer, position, focus) {
    if (current) current.tabIndex = -1;
    current = at(layer, position);
    if (!current) return;
    current.tabIndex = 0;
    if (focus) {
      current.focus({ preventScroll: true });
      reveal(current);
    }
  }

  // Into view beside the sticky heads, without moving the page around it.
  function reveal(cell) {
    const box = scroller.getBoundingClientRect(), mine = cell.getBoundingClientRect();
    const left = box.left + (cell.parentElement.firstChild.offsetWidth ?? 0);
    if (mine.left < left) scroller.scrollLeft -= left - mine.left;
    if (mine.right > box.left + scroller.clientWidth) scroller.scrollLeft += mine.right - box.left - scroller.clientWidth;
    if (mine.top < box.top + head.offsetHeight) scroller.scrollTop -= box.top + head.offsetHeight - mine.top;
    if (mine.bottom > box.top + scroller.clientHeight) scroller.scrollTop += mine.bottom - box.top - scroller.clientHeight;
  }

  const placeOf = cell => ({ layer: Number(cell.dataset.layer), position: Number(cell.dataset.position) });
  body.addEventListener("keydown", event => {
    const cell = event.target.closest("td");
    if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
    let { layer, position } = placeOf(cell);
    const moves = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key in moves) {
      layer += moves[event.key][0];
      position += moves[event.key][1];
    } else if (event.key === "Home") position = first;
    else if (event.key === "End") position = tokens.length - 1;
    else if (event.key === "PageUp") layer = count;
    else if (event.key === "PageDown") layer = 1;
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      act.choose(placeOf(cell), true);
      return;
    } else if (event.key === "Escape") return void act.escape();
    else return;
    event.preventDefault();
    move(Math.min(count, Math.max(1, layer)), Math.min(tokens.length - 1, Math.max(first, position)), true);
  });
  return {
    element: scroller, scroller, body, at, placeOf, move, reveal,
    tokens: () => tokens,
    isReady: () => tokens.length > 0,
    // Read a prompt; ready() once its tokens are known.
    read(prompt, channel, ready) {
      app.ask("grid", { prompt, lens: app.store.get("lens"), adapter: app.store.get("adapter"), top: 1 }, {
        part: data => {
          if (data.tokens) {
            build(data);
            ready(data);
          }
          if (data.positions) paint(data);
        },
      }, channel);
    },
    // The cells with a mark, each of a class.
    mark(name, place) {
      for (const cell of body.querySelectorAll(`.${name}`)) cell.classList.remove(name);
      if (place) at(place.layer, place.position)?.classList.add(name);
    },
  };
}

function mount(app) {
  const { store } = app;
  const count = app.open.model.layers;
  const place = h("div", { class: "alternative" });
  const tools = viewTools(app, asTables, place);
  const say = h("p", { class: "says", "aria-live": "polite" });
  const bars = h("div", { class: "words" }), tops = h("div", { class: "tops" });
  const chart = h("div", { class: "sweep" });
  const state = { source: null, target: null, patch: null, sweep: [], code: "", started: false };
  const sides = {
    source: side("source", "Source", "what is put comes from here"),
    target: side("target", "Target", "here it is put, and the answer read"),
  };
  const arrow = svg("path", { class: "arrow" });
  const overlay = svg("svg", { class: "overlay", "aria-hidden": "true" }, arrow);
  const both = h("div", { class: "both" }, sides.source.element, sides.target.element, overlay);
  const sweep = h("button", { type: "button", disabled: true, onclick: sweepLayers,
    title: "the same two tokens, at every layer, each into the same layer" }, "Sweep all layers");
  const stop = h("button", { type: "button", class: "quiet", hidden: true }, "Stop the sweep");
  const element = h("div", { class: "view patch-view" },
    h("p", { class: "about" }, "What one prompt holds at a layer and a token is put into another prompt: whose word does it answer with then, and in which language?"),
    h("div", { class: "head" }, h("p", { class: "help" },
      "Drag a cell of the source onto a cell of the target; or click one and then the other; or choose with the arrow keys and press Enter on both."),
    tools.element),
    h("div", { class: "beside" }, h("div", { class: "left" }, both),
      h("div", { class: "results" }, say, bars, h("div", { class: "row" }, sweep, stop), chart, tops)),
    place);

  function side(name, title, hint) {
    const id = newId(name);
    const box = h("textarea", { id, rows: "3", dir: "auto", spellcheck: "false", class: "small", readonly: !app.live, onkeydown: event => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        read(name);
      }
    } });
    const grid = compactGrid(app, `${title} prompt: likeliest token of every layer after every token`, {
      choose: (cell, byKey) => (name === "source" ? pick(cell, byKey) : drop(cell)),
      escape: () => pick(null),
    });
    const buttons = app.live ? [
      h("button", { type: "button", class: "quiet", onclick: () => {
        box.value = store.get("prompt");
        read(name);
      } }, "Take the prompt above"),
      h("button", { type: "button", onclick: () => read(name), title: "Ctrl or Cmd with Enter" }, "Read"),
    ] : [];
    return { grid, box, element: h("section", { class: `side ${name}`, "aria-label": `${title} prompt` },
      h("div", { class: "row" }, h("label", { for: id, class: "title" }, title), h("span", { class: "quietly" }, hint), buttons), box, grid.element) };
  }

  // --- choosing ---------------------------------------------------------------------------------------------------
  let picked = null;
  function pick(cell, byKey = false) {
    picked = cell;
    sides.source.grid.mark("picked", cell);
    both.classList.toggle("picking", Boolean(cell));
    if (!cell) return;
    const token = sides.source.grid.tokens()[cell.position];
    app.announce(`layer ${cell.layer} after ${quoted(token.text)} is picked; choose a cell of the target`);
    if (byKey && sides.target.grid.isReady()) {
      const there = state.target ?? { position: sides.target.grid.tokens().length - 1 };
      sides.target.grid.move(cell.layer, there.position, true);
    }
  }

  function drop(cell) {
    const from = picked ?? state.source;
    if (!from || !cell) return app.announce("pick a cell of the source first");
    pick(null);
    state.source = from;
    state.target = cell;
    patch();
    return undefined;
  }

  let drag = null;
  sides.source.grid.body.addEventListener("pointerdown", event => {
    const cell = event.target.closest("td");
    if (!cell || event.button || event.pointerType === "touch") return; // a finger scrolls, and taps twice
    event.preventDefault();
    cell.focus({ preventScroll: true });
    drag = { cell, x: event.clientX, y: event.clientY, over: null, moved: false };
    cell.setPointerCapture(event.pointerId);
  });
  sides.source.grid.body.addEventListener("pointermove", event => {
    if (!drag) return;
    if (!drag.moved && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < APART) return;
    if (!drag.moved) pick(sides.source.grid.placeOf(drag.cell));
    drag.moved = true;
    const under = element.getRootNode().elementFromPoint(event.clientX, event.clientY)?.closest?.("td");
    drag.over = under && sides.target.grid.body.contains(under) ? under : null;
    sides.target.grid.mark("over", drag.over && sides.target.grid.placeOf(drag.over));
    const box = both.getBoundingClientRect();
    line(edge(drag.cell), [event.clientX - box.left, event.clientY - box.top]);
  });
  sides.source.grid.body.addEventListener("pointerup", event => {
    if (!drag) return;
    const { cell, over, moved } = drag;
    drag = null;
    sides.target.grid.mark("over", null);
    if (moved) {
      event.preventDefault();
      if (over) drop(sides.target.grid.placeOf(over));
      else pick(null);
      drawArrow();
    } else pick(sides.source.grid.placeOf(cell));
  });
  sides.source.grid.body.addEventListener("pointercancel", () => {
    drag = null;
    pick(null);
    sides.target.grid.mark("over", null);
    drawArrow();
  });
  sides.source.grid.body.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (cell && event.pointerType === "touch") pick(sides.source.grid.placeOf(cell));
  });
  sides.target.grid.body.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (cell) drop(sides.target.grid.placeOf(cell));
  });

  // --- the arrow --------------------------------------------------------------------------------------------------
  function edge(cell) {
    const outer = both.getBoundingClientRect(), box = cell.getBoundingClientRect();
    return [box.right - outer.left, (box.top + box.bottom) / 2 - outer.top];
  }

  // From the right edge of a cell to a point, or to the right edge of another cell, around what lies between.
  function line([x, y], [toX, toY], around = false) {
    const tip = 9, angle = around ? Math.PI : Math.atan2(toY - y, toX - x), out = Math.min(Math.max(x, toX) + 26, both.clientWidth + 14);
    const wing = turn => `${toX - tip * Math.cos(angle + turn)} ${toY - tip * Math.sin(angle + turn)}`;
    const way = around ? `C${out} ${y} ${out} ${toY} ${toX} ${toY}` : `L${toX} ${toY}`;
    arrow.setAttribute("d", `M${x} ${y} ${way} M${wing(0.45)} L${toX} ${toY} L${wing(-0.45)}`);
  }

  function seen(cell, grid) {
    const box = grid.scroller.getBoundingClientRect(), [x, y] = [cell.getBoundingClientRect(), box];
    return x.left >= y.left - 1 && x.right <= y.right + 1 && x.top >= y.top - 1 && x.bottom <= y.bottom + 1;
  }

  function drawArrow() {
    const from = state.source && sides.source.grid.at(state.source.layer, state.source.position);
    const to = state.target && sides.target.grid.at(state.target.layer, state.target.position);
    if (!from || !to || !seen(from, sides.source.grid) || !seen(to, sides.target.grid)) arrow.removeAttribute("d");
    else line(edge(from), edge(to), true);
  }
  for (const { grid } of Object.values(sides)) grid.scroller.addEventListener("scroll", drawArrow);
  const resized = new ResizeObserver(drawArrow);
  resized.observe(both);

  // --- asking -----------------------------------------------------------------------------------------------------
  function cellsAsked() {
    return {
      source: { prompt: sides.source.read, ...state.source }, target: { prompt: sides.target.read, ...state.target },
      adapter: store.get("adapter"),
    };
  }

  function read(name, then = () => {}) {
    const mine = sides[name];
    const prompt = mine.box.value;
    state[name] = null;
    state.patch = null;
    drawArrow();
    mine.grid.read(prompt, `patch ${name}`, data => {
      mine.read = prompt;
      app.useColours(["en", data.asked, ...(data.named ?? []), ...app.open.first].filter(Boolean));
      mine.box.scrollTop = mine.box.scrollHeight; // the last line is the one that counts
      state[name] = { layer: state.layer ?? count, position: data.tokens.length - 1 };
      then();
      if (sides.source.read !== undefined && sides.target.read !== undefined && state.source && state.target) patch();
    });
  }

  function patch() {
    for (const name of ["source", "target"]) sides[name].grid.mark("here", state[name]);
    drawArrow();
    state.layer = state.target.layer;
    element.classList.add("working");
    app.ask("patch", cellsAsked(), {
      part: data => {
        state.patch = data;
        useColours();
        show();
      },
      done: code => {
        element.classList.remove("working");
        state.code = code;
        sweep.disabled = !app.live;
        tools.setCode(code);
      },
      error: () => element.classList.remove("working"),
      cancelled: () => element.classList.remove("working"),
    });
  }

  function useColours() {
    if (state.patch) app.useColours(["en", ...state.patch.words.map(word => word.language)]);
  }

  let cancel = null;
  function sweepLayers() {
    state.sweep = [];
    chart.replaceChildren();
    const ended = text => {
      stop.hidden = true;
      sweep.disabled = false;
      cancel = null;
      if (text) app.announce(text);
    };
    sweep.disabled = true;
    stop.hidden = false;
    cancel = app.ask("patch", { ...cellsAsked(), layers: [] }, {
      part: data => {
        state.sweep.push(data);
        showChart();
      },
      done: code => {
        tools.setCode(code);
        ended("sweep done");
      },
      error: () => ended(""),
      cancelled: () => ended("sweep stopped"),
    }, "patch sweep");
    stop.onclick = () => {
      cancel?.();
      ended("sweep stopped");
    };
  }

  // --- what is shown ----------------------------------------------------------------------------------------------
  const wordOf = word => h("bdi", { dir: "auto", class: "word" }, word.word);
  const roleOf = word => `${word.of === "target" ? "the target’s" : "the source’s"} concept, ${
    word.asked === word.of ? "its own" : word.asked === "target" ? "the target’s" : "the source’s"} language`;

  function show() {
    const { patch: found, source, target } = state;
    const from = sides.source.grid.tokens()[source.position], to = sides.target.grid.tokens()[target.position];
    const best = found.words.filter(word => word.after !== null && word.before !== null)
      .reduce((most, word) => (!most || word.after - word.before > most.after - most.before ? word : most), null);
    say.replaceChildren(...[`Layer ${source.layer} after `, tokenSpan(from), ` of the source, put into layer ${target.layer} after `,
      tokenSpan(to), " of the target", found.size === undefined || found.size === null ? "." : `, a change ${number(found.size)} times as long as what was there. `,
      best && best.after - best.before > 0.005
        ? [wordOf(best), ` (${roleOf(best)}) gains most, from ${percent(best.before)} to ${percent(best.after)}; a random change of the same size gives it ${percent(best.random)}.`]
        : "None of these words gains."].flat());
    bars.replaceChildren(
      h("h3", {}, "Answers"),
      found.why ? h("p", { class: "warning" }, found.why) : "",
      h("ul", { class: "answer-bars" }, found.words.map(word => {
        const { slot, pattern } = app.colours(word.language);
        const bar = (kind, title, p) => h("div", { class: `measure ${kind}` }, h("span", { class: "kind" }, title),
          h("span", { class: "bar", "data-slot": slot, "aria-hidden": "true" },
            h("span", { class: kind === "after" ? pattern : "", style: { width: `${100 * (p ?? 0)}%` } })),
          h("span", { class: "value" }, percent(p)));
        return h("li", { title: word.why || roleOf(word) },
          h("div", { class: "name" }, languageMark(app, word.language), wordOf(word), " ", h("span", { class: "code" }, word.language),
            h("span", { class: "quietly" }, ` ${roleOf(word)}`)),
          word.why ? h("p", { class: "quietly" }, word.why) : [bar("before", "before", word.before), bar("after", "after", word.after),
            bar("random", "random", word.random)]);
      })),
      h("p", { class: "note" }, "Random: a change of the same size in a random direction, the mean of three."));
    tops.replaceChildren(...(found.before ? [
      h("div", {}, h("h3", {}, "Likeliest before"), tokenBars(app, found.before)),
      h("div", {}, h("h3", {}, "Likeliest after"), tokenBars(app, found.after)),
    ] : []));
    app.announce(say.textContent);
    tools.refresh();
  }

  function showChart() {
    const layers = state.sweep.map(one => one.layer);
    const names = state.sweep[0].words.filter(word => !word.why);
    const value = (one, name, key) => one.words.find(word => word.name === name)?.[key] ?? null;
    const highest = Math.max(0.01, ...state.sweep.flatMap(one => one.words.flatMap(word => [word.after ?? 0, word.before ?? 0])));
    const x = layer => LEFT + ((WIDTH - LEFT - RIGHT) * (layer - 1)) / Math.max(1, count - 1);
    const y = p => TOP + (HEIGHT - TOP - BOTTOM) * (1 - p / highest);
    const path = points => points.map(([layer, p], index) => `${index ? "L" : "M"}${x(layer).toFixed(1)} ${y(p).toFixed(1)}`).join(" ");
    const lines = names.map(word => {
      const { colour, dash } = app.colours(word.language);
      const points = state.sweep.map(one => [one.layer, value(one, word.name, "after")]).filter(([, p]) => p !== null);
      const random = state.sweep.map(one => [one.layer, value(one, word.name, "random")]).filter(([, p]) => p !== null);
      const filled = word.of === "source";
      return svg("g", { style: { color: colour } },
        svg("path", { d: path(random), class: "null" }),
        svg("path", { d: path(points), class: "curve", "stroke-dasharray": dash }),
        points.map(([layer, p]) => svg("circle", { cx: x(layer), cy: y(p), r: 3.4, class: filled ? "full" : "hollow" },
          svg("title", {}, `${word.word} (${word.language}), layer ${layer}: ${percent(p)}, random ${percent(value(state.sweep.find(one => one.layer === layer), word.name, "random"))}`))));
    });
    // names beside the ends of the lines, kept apart
    const ends = names.map(word => ({ word, y: y(value(state.sweep[state.sweep.length - 1], word.name, "after") ?? 0) })).sort((a, b) => a.y - b.y);
    ends.forEach((end, index) => { if (index) end.y = Math.max(end.y, ends[index - 1].y + 15); });
    let below = HEIGHT - BOTTOM + 4;
    for (const end of [...ends].reverse()) {
      end.y = Math.min(end.y, below);
      below = end.y - 15;
    }
    const labels = ends.map(({ word, y: at }) => svg("text", { x: x(count) + 10, y: at + 4, class: "end" },
      `${word.of === "source" ? "●" : "○"} \u2068${word.word}\u2069 ${word.language}`));
    const grid = [0, highest / 2, highest].map(p => svg("g", {},
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(p), y2: y(p), class: "rule" }),
      svg("text", { x: LEFT - 6, y: y(p) + 4, class: "tick", "text-anchor": "end" }, percent(p))));
    const step = Math.ceil(count / 12);
    const ticks = Array.from({ length: count }, (_, index) => index + 1).filter(layer => (layer - 1) % step === 0 || layer === count)
      .map(layer => svg("text", { x: x(layer), y: HEIGHT - BOTTOM + 16, class: "tick", "text-anchor": "middle" }, String(layer)));
    chart.replaceChildren(h("h3", {}, "The same at every layer"),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "lines",
        "aria-label": `Probability of each word after patching at layers 1 to ${layers[layers.length - 1]}; the table says the same` },
      grid, ticks, svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, class: "tick", "text-anchor": "middle" }, "patched at layer"),
      lines, labels),
      h("p", { class: "quietly" }, "● the source’s concept, ○ the target’s; dotted: a random change of the same size."));
    tools.refresh();
  }

  function asTables() {
    const tables = [];
    const heads = ["word", "language", "whose concept, whose language", "before", "after", "random"];
    const cells = word => [wordOf(word), word.language, roleOf(word), percent(word.before), percent(word.after), percent(word.random)];
    if (state.patch) tables.push(tableOf("Probability of each word before and after the patch", heads, state.patch.words.map(cells)));
    if (state.sweep.length) {
      tables.push(tableOf("The same at every layer", ["layer", ...heads],
        state.sweep.flatMap(one => one.words.map(word => [String(one.layer), ...cells(word)]))));
    }
    return tables;
  }

  function start() {
    if (state.started) return;
    state.started = true;
    app.ask("patch-start", {}, { part: data => {
      sides.source.box.value = data.source;
      sides.target.box.value = data.target;
      state.layer = data.layer;
      read("source");
      read("target");
    } });
  }

  store.subscribe(["adapter", "lens"], () => {
    if (state.started && sides.source.read !== undefined) for (const name of ["source", "target"]) read(name);
  });
  store.subscribe("palette", () => {
    if (state.patch) show();
    if (state.sweep.length) showChart();
  });
  return { element, show: () => {
    start();
    useColours();
    requestAnimationFrame(drawArrow);
  }, hide: () => {}, close: () => resized.disconnect() };
}
