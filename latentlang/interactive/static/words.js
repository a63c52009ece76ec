// Trajectories: how likely each language's word of one concept is at every layer, over its null; pinned tokens too.
import { h, newId, percent, quoted, svg, tableOf, tokenSpan } from "./dom.js";
import { conceptBox, languageMark, segmented, viewTools } from "./controls.js";
import { DASHES } from "./colours.js";
import { VIEWS } from "./registry.js";

VIEWS.push({ id: "words", title: "Words", needs: "words", hint: "One concept's words over the layers, language by language", mount });

const MOST_PINS = 6;
const HEIGHT = 340;
const PAD = { top: 14, bottom: 36, left: 52 };
const GAP = 18; // between two labels at the lines' ends

// "de=Hund, ja=犬" as {de: "Hund", ja: "犬"}; null where it cannot be read so.
export function readOwnWords(text) {
  const words = {};
  for (const part of text.split(/[,;\n]/).map(one => one.trim()).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1 || !part.slice(at + 1).trim()) return null;
    words[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return words;
}

// The likeliest token of each layer at one place, the best of each language, at most six.
export function winnersOf(column) {
  const best = new Map();
  for (const cell of column ?? []) {
    const [token, p] = cell.top[0];
    if (token.bytes) continue;
    const key = token.language ?? `none ${token.id}`;
    if (!best.has(key) || best.get(key)[1] < p) best.set(key, [token, p]);
  }
  return [...best.values()].sort((a, b) => b[1] - a[1]).slice(0, MOST_PINS).map(([token]) => token);
}

function mount(app) {
  const { store, reading } = app;
  const layers = app.open.model.layers;
  const ownId = newId("own");
  const { box: concept, field } = conceptBox(app, "words", "none recognised", found => store.set({ label: found?.label ?? "", own: "" }));
  const own = h("input", { id: ownId, type: "text", autocomplete: "off", spellcheck: "false", placeholder: "de=Hund, ja=犬", dir: "auto",
    disabled: !app.live, title: app.live ? null : "This page holds the words of one concept; latentlang explore reads your own.", onchange: () => {
      if (readOwnWords(own.value) === null) return app.complain("write your own words as de=Hund, ja=犬", "words");
      app.complain("", "");
      return store.set("own", own.value.trim());
    } });
  const scale = segmented("Scale", [{ id: "probability", label: "probability" }, { id: "rank", label: "rank (log)" }],
    store.get("scale"), id => store.set("scale", id));
  const languages = h("details", { class: "choose", onkeydown: event => {
    if (event.key !== "Escape" || !languages.open) return;
    event.stopPropagation();
    languages.open = false;
    languages.querySelector("summary").focus();
  } });
  // what is clicked beside it closes it, as it does a list of the browser's own
  const shut = event => { if (!event.composedPath().includes(languages)) languages.open = false; };
  document.addEventListener("pointerdown", shut);
  const pins = h("div", { class: "pins", role: "group", "aria-label": "Pinned tokens" });
  const place = h("div", { class: "alternative" });
  const tools = viewTools(app, asTable, place);
  const title = h("p", { class: "place quietly" });
  const picture = svg("svg", { class: "chart", role: "slider", tabindex: "0", "aria-label": "Layer", "aria-valuemin": 1,
    "aria-valuemax": layers });
  const holder = h("div", { class: "chart-holder" }, picture);
  const readout = h("div", { class: "readout" });
  const note = h("p", { class: "note" });
  const element = h("div", { class: "view words-view" },
    h("p", { class: "about" }, "One concept's word in each language: how likely every layer finds it, beside words of wrong concepts."),
    h("div", { class: "head" },
      field,
      h("span", { class: "field" }, h("label", { for: ownId }, "or own words"), own),
      scale, languages, tools.element),
    h("div", { class: "beside" }, h("div", { class: "left" }, title, holder, note), readout), pins, place);
  let data = null, base = null, visible = false, stale = true, preview = null, width = 0, asked = "";

  // --- what is asked for ------------------------------------------------------------------------------------------
  function chosenPins() {
    const kept = store.get("pins");
    if (kept.length || reading.label() || store.get("own")) return kept;
    return winnersOf(reading.data?.cells[reading.position()]);
  }

  function request(first) {
    const words = store.get("own") ? readOwnWords(store.get("own")) : null;
    const args = { prompt: reading.data.prompt, position: reading.position(), lens: reading.data.lens, adapter: reading.data.adapter,
      label: words ? null : reading.label(), languages: words ? Object.keys(words) : reading.codes(),
      tokens: chosenPins().map(token => token.id) };
    if (words) args.words = words;
    return { ...args, ...first };
  }

  function ask() {
    if (!reading.data) {
      data = null;
      return draw();
    }
    showControls();
    if (!visible) {
      stale = true;
      return undefined;
    }
    stale = false;
    if (!reading.label() && !store.get("own") && !chosenPins().length) {
      data = null;
      asked = "";
      return draw();
    }
    const args = request({});
    const key = JSON.stringify([store.get("asked"), args, store.get("difference")]);
    if (key === asked) return undefined;
    asked = key;
    holder.classList.add("old");
    const difference = store.get("difference");
    reading.askWords(args, {
      part: part => {
        if (!reading.data) return; // the prompt that it is of is gone
        data = part;
        if (!difference) base = null;
        app.useColours(["en", ...reading.data.named, ...part.rows.map(row => row.language ?? row.token?.language)].filter(Boolean));
        holder.classList.remove("old");
        draw();
      },
      done: code => {
        tools.setCode(code);
        if (!difference) return;
        const first = difference === "lens" ? { lens: app.open.lenses[0].id } : { adapter: app.open.adapters[0].id };
        reading.askWords(request(first), { part: part => {
          base = part;
          draw();
        } }, "words of the first");
      },
      error: () => {
        holder.classList.remove("old");
        asked = "";
      },
    });
    return undefined;
  }

  const held = code => app.holds("words", { languages: [code] });

  function showControls() {
    const label = reading.label();
    if (document.activeElement !== concept) {
      concept.value = store.get("own") ? "" : app.open.concepts.find(one => one.label === label)?.name ?? label ?? "";
    }
    if (document.activeElement !== own) own.value = store.get("own");
    const codes = reading.codes();
    const stood = languages.open;
    languages.replaceChildren(h("summary", {}, `Languages (${codes.length})`), h("div", { class: "boxes" }, app.open.languages.map(one =>
      h("label", { title: held(one.code) ? null : "not in this page; latentlang explore reads it" }, h("input", { type: "checkbox", value: one.code,
        checked: codes.includes(one.code), disabled: !held(one.code), onchange: event => {
        const now = reading.codes();
        const next = event.target.checked ? [...now, one.code] : now.filter(code => code !== one.code);
        if (!next.length) {
          event.target.checked = true;
          return;
        }
        store.set("codes", next);
        languages.querySelector(`input[value="${one.code}"]`)?.focus();
      } }), ` ${one.name}`))));
    languages.open = stood;
    const kept = chosenPins(), mine = store.get("pins").length > 0;
    pins.replaceChildren(h("span", { class: "quietly" }, mine ? "Pinned tokens" : kept.length ? "Winners of the layers" : "Pinned tokens: none"),
      ...kept.map(token => h("span", { class: "pin" }, languageMark(app, token.language), tokenSpan(token),
        mine ? h("button", { type: "button", class: "quiet", "aria-label": `Unpin ${quoted(token.text)}`,
          onclick: () => store.set("pins", store.get("pins").filter(other => other.id !== token.id)) }, "×") : null)),
      h("button", { type: "button", class: "quiet", title: "The likeliest token of each language at any layer",
        onclick: () => store.set("pins", winnersOf(reading.data?.cells[reading.position()])) }, "Pin the winners of the layers"));
  }

  // --- drawing ----------------------------------------------------------------------------------------------------
  const rank = () => store.get("scale") === "rank";
  const different = () => Boolean(store.get("difference") && base);
  const rowName = row => (row.kind === "word" ? row.word : row.token.text);
  const rowCode = row => (row.kind === "word" ? row.language : row.token.language);

  function values(row, at) {
    const own = rank() ? row.rank : row.probability;
    if (!different() || rank()) return own;
    const first = base.rows[at];
    return own.map((p, index) => (p === null || first?.probability?.[index] == null ? null : p - first.probability[index]));
  }

  function lines() {
    const drawn = data.rows.map((row, at) => ({ row, values: values(row, at), ...app.colours(rowCode(row)) }))
      .filter(line => line.values?.some(value => value !== null && value !== undefined));
    // a second line of a language has its colour and a dash of its own
    const times = new Map();
    for (const line of drawn) {
      const before = times.get(line.slot) ?? 0;
      times.set(line.slot, before + 1);
      line.dash = DASHES[(line.slot + before) % DASHES.length];
    }
    return drawn;
  }

  function nice(most) {
    const step = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 5, 10].map(times => times * step).find(top => top >= most);
  }

  function textWidth(text) {
    const canvas = textWidth.canvas ??= document.createElement("canvas").getContext("2d");
    canvas.font = `12.5px ${getComputedStyle(element).fontFamily || "sans-serif"}`;
    return canvas.measureText(text).width;
  }

  function draw() {
    place.hidden || tools.refresh();
    if (!data) {
      picture.replaceChildren();
      readout.replaceChildren();
      title.textContent = reading.data ? "Choose a concept, write words of your own, or pin tokens in the grid." : "";
      return;
    }
    const { data: read } = reading;
    const at = read.tokens[reading.position()];
    title.replaceChildren("After ", h("strong", {}, tokenSpan(at)), ` (token ${reading.position() + 1} of ${read.tokens.length})`,
      different() ? `: change from ${reading.first()}` : ": what each layer gives each word");
    width = holder.clientWidth || 640;
    const drawn = lines();
    const labels = drawn.map(line => `${rowCode(line.row) ?? ""} ${rowName(line.row)}`.trim());
    const right = Math.min(width * 0.42, 24 + Math.max(40, ...labels.map(textWidth)));
    const inner = { width: Math.max(60, width - PAD.left - right), height: HEIGHT - PAD.top - PAD.bottom };
    const x = index => PAD.left + (data.layers.length < 2 ? inner.width / 2 : (inner.width * index) / (data.layers.length - 1));
    const isolated = store.get("isolated");
    const faint = line => isolated.length > 0 && !isolated.includes(rowCode(line.row) ?? null);

    let y, ticks;
    if (rank()) {
      const most = Math.max(10, app.open.model.vocabulary);
      const decades = Math.log10(most);
      y = value => PAD.top + (inner.height * Math.log10(Math.max(1, value))) / decades;
      ticks = [...Array(Math.floor(decades) + 1).keys()].map(power => [10 ** power, (10 ** power).toLocaleString("en")]);
    } else {
      const all = drawn.flatMap(line => line.values).filter(value => value !== null);
      const highs = different() ? [] : drawn.flatMap(line => line.row.high ?? []).filter(value => value !== null);
      const most = nice(Math.max(0.001, ...all.map(Math.abs), ...highs));
      const least = different() ? -most : 0;
      y = value => PAD.top + inner.height * (1 - (value - least) / (most - least));
      ticks = [0, 0.25, 0.5, 0.75, 1].map(share => least + share * (most - least))
        .map(value => [value, different() && value > 0 ? `+${percent(value)}` : value < 0 ? `−${percent(-value)}` : percent(value)]);
    }
    const bottom = PAD.top + inner.height, end = x(data.layers.length - 1);
    const children = [];
    for (const [value, text] of ticks) {
      children.push(svg("line", { class: "rule", x1: PAD.left, x2: end, y1: y(value), y2: y(value) }),
        svg("text", { class: "tick", x: PAD.left - 8, y: y(value), "text-anchor": "end", "dominant-baseline": "middle" }, text));
    }
    const every = Math.max(1, Math.ceil(data.layers.length / Math.max(2, Math.floor(inner.width / 34))));
    data.layers.forEach((layer, index) => {
      if ((data.layers.length - 1 - index) % every) return;
      children.push(svg("text", { class: "tick", x: x(index), y: bottom + 16, "text-anchor": "middle" }, String(layer)));
    });
    children.push(svg("text", { class: "axis", x: PAD.left + inner.width / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "layer"));

    // the null: what words of wrong concepts reach, over all the languages shown
    const nulls = drawn.filter(line => line.row.kind === "word" && line.row.high?.some(value => value !== null));
    if (!rank() && !different() && nulls.length) {
      const edge = (name, pick) => data.layers.map((_, index) => pick(...nulls.map(line => line.row[name][index]).filter(value => value !== null)));
      const low = edge("low", Math.min), high = edge("high", Math.max);
      const whole = high.map((_, index) => `${x(index)},${y(Math.max(0, Number.isFinite(high[index]) ? high[index] : 0))}`);
      const back = low.map((_, index) => `${x(index)},${y(Math.max(0, Number.isFinite(low[index]) ? low[index] : 0))}`).reverse();
      children.push(svg("polygon", { class: "null-band", points: [...whole, ...back].join(" ") },
        svg("title", {}, "null: words of wrong concepts, 5th to 95th percentile")));
    }
    if (different()) children.push(svg("line", { class: "zero", x1: PAD.left, x2: end, y1: y(0), y2: y(0) }));

    for (const line of drawn) {
      let path = "", open = false;
      line.values.forEach((value, index) => {
        if (value === null || value === undefined) open = false;
        else {
          path += `${open ? "L" : "M"}${x(index).toFixed(1)},${y(value).toFixed(1)}`;
          open = true;
        }
      });
      children.push(svg("path", { class: `line ${line.row.kind}${faint(line) ? " faint" : ""}`, d: path, "stroke-dasharray": line.dash,
        style: { stroke: line.colour } }));
    }
    // labels at the ends, pushed apart
    const ends = drawn.map((line, index) => {
      const last = line.values.reduce((found, value, at) => (value === null || value === undefined ? found : at), 0);
      return { line, text: labels[index], at: y(line.values[last]), wanted: y(line.values[last]) };
    }).sort((a, b) => a.at - b.at);
    const gap = Math.min(GAP, inner.height / Math.max(1, ends.length - 1));
    ends.forEach((one, index) => { if (index) one.at = Math.max(one.at, ends[index - 1].at + gap); });
    let floor = bottom + 4;
    for (const one of [...ends].reverse()) {
      one.at = Math.min(one.at, floor);
      floor = one.at - gap;
    }
    for (const { line, text, at: height, wanted } of ends) {
      children.push(svg("path", { class: `leader${faint(line) ? " faint" : ""}`, d: `M${end + 3},${wanted}L${end + 11},${height}`, style: { stroke: line.colour } }),
        svg("text", { class: `label${faint(line) ? " faint" : ""}`, x: end + 15, y: height, "dominant-baseline": "middle", style: { unicodeBidi: "isolate" } },
          svg("tspan", { class: "code" }, `${rowCode(line.row) ?? "–"} `), svg("tspan", {}, `\u2068${rowName(line.row)}\u2069`)));
    }
    const index = Math.max(0, data.layers.indexOf(preview ?? reading.layer()));
    children.push(svg("line", { class: "cursor", x1: x(index), x2: x(index), y1: PAD.top - 6, y2: bottom }));
    for (const line of drawn) {
      const value = line.values[index];
      if (value === null || value === undefined || faint(line)) continue;
      children.push(svg("circle", { class: "dot", cx: x(index), cy: y(value), r: 3.5, style: { fill: line.colour } }));
    }
    picture.setAttribute("width", width);
    picture.setAttribute("height", HEIGHT);
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    picture.replaceChildren(...children);
    picture.layerAt = clientX => {
      const box = picture.getBoundingClientRect();
      const share = (clientX - box.left - PAD.left) / inner.width;
      return data.layers[Math.min(data.layers.length - 1, Math.max(0, Math.round(share * (data.layers.length - 1))))];
    };
    showReadout(drawn, index);
    const silent = data.rows.filter(row => row.kind === "word" && row.why);
    const lined = data.rows.filter(row => row.kind === "token").map(row => row.token.id);
    const unheld = app.live ? [] : chosenPins().filter(token => !lined.includes(token.id));
    note.replaceChildren(
      !rank() && !different() && nulls.length ? h("span", {}, h("span", { class: "swatch null-band" }), "null: words of wrong concepts, 5th to 95th percentile. ") : "",
      ...silent.map(row => h("span", {}, `${app.languageName(row.language)} (`, h("bdi", {}, row.word), `) has no line: ${row.why}. `)),
      ...unheld.map(token => h("span", {}, `${quoted(token.text)} has no line: this page does not hold it; latentlang explore reads it. `)));
  }

  function showReadout(drawn, index) {
    const order = [...drawn].sort((a, b) => (b.row.probability[index] ?? -1) - (a.row.probability[index] ?? -1));
    picture.setAttribute("aria-valuenow", data.layers[index]);
    picture.setAttribute("aria-valuetext", `layer ${data.layers[index]}: ${order.slice(0, 4).map(({ row }) =>
      `${app.languageName(rowCode(row))} ${rowName(row)} ${percent(row.probability[index])}`).join(", ")}`);
    readout.replaceChildren(h("h3", {}, `Layer ${data.layers[index]}`, h("span", { class: "quietly" }, ` of ${layers}`)),
      h("table", {}, h("thead", {}, h("tr", {}, ["", "", "p", "rank", "null"].map((head, at) => h("th", { scope: "col", class: at > 1 ? "number" : "" }, head)))),
        h("tbody", {}, order.map(({ row }) => {
          const above = row.high && row.probability[index] > (row.high[index] ?? row.null?.[index] ?? 0);
          return h("tr", { class: above || row.kind === "token" ? "" : "quietly" }, h("td", {}, languageMark(app, rowCode(row)), h("span", { class: "code" }, rowCode(row) ?? "–")),
            h("td", { class: "word" }, h("bdi", { dir: "auto" }, rowName(row))),
            h("td", { class: "number" }, percent(row.probability[index])),
            h("td", { class: "number" }, row.rank?.[index]?.toLocaleString("en") ?? "–"),
            h("td", { class: "number" }, row.kind === "word" ? percent(row.null?.[index]) : ""));
        }))));
  }

  function asTable() {
    if (!data) return h("p", {}, "Nothing is read.");
    const what = rank() ? "rank" : "probability";
    return h("div", { class: "scroll" }, tableOf(`${rank() ? "Rank" : "Probability"} of each word at each layer`, ["word", "", ...data.layers.map(layer => `layer ${layer}`)],
      data.rows.flatMap(row => {
        const name = [app.languageName(rowCode(row)), " ", h("bdi", { dir: "auto" }, rowName(row))];
        const say = list => data.layers.map((_, at) => (rank() ? list?.[at]?.toLocaleString("en") ?? "–" : percent(list?.[at])));
        const own = [h("span", {}, name), what, ...say(row[what])];
        return row.kind === "word" && !rank() ? [own, [h("span", {}, app.languageName(row.language)), "null, 95th percentile", ...say(row.high)]] : [own];
      })));
  }

  // --- reading values ---------------------------------------------------------------------------------------------
  picture.addEventListener("pointermove", event => {
    if (!data) return;
    const layer = picture.layerAt(event.clientX);
    if (layer !== preview) {
      preview = layer;
      draw();
    }
  });
  picture.addEventListener("pointerleave", () => {
    preview = null;
    if (data) draw();
  });
  picture.addEventListener("click", event => data && store.set("layer", picture.layerAt(event.clientX)));
  picture.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -layers, End: layers }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    preview = null;
    store.set("layer", Math.min(layers, Math.max(1, reading.layer() + by)));
  });

  const sized = new ResizeObserver(() => {
    if (visible && data && holder.clientWidth && Math.abs(holder.clientWidth - width) > 1) draw();
  });
  sized.observe(holder);
  store.subscribe(["reading", "position", "label", "codes", "own", "pins"], ask);
  store.subscribe(["layer", "scale", "isolated", "palette"], () => {
    scale.choose(store.get("scale"));
    if (visible) draw();
  });
  return {
    element,
    show() {
      visible = true;
      if (stale) ask();
      else draw();
    },
    hide() { visible = false; },
    close() {
      sized.disconnect();
      document.removeEventListener("pointerdown", shut);
    },
  };
}
