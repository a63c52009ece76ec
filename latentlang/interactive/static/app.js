// The explorer: prompt, lens and adapter on top, the answer in a sentence, tabs of views, what is announced.
import { h, newId, quoted } from "./dom.js";
import { languageColours } from "./colours.js";
import { fromHash, makeStore, toHash } from "./store.js";
import { NOT_HELD, frozenTransport, httpTransport, notebookTransport } from "./transport.js";
import { VIEWS } from "./registry.js";
import { chip, segmented } from "./controls.js";
import { makeReading } from "./reading.js";
import { watchAnswer } from "./answer.js";

// What the address of a page keeps, by type.
const KEPT = {
  prompt: "string", view: "string", lens: "string", adapter: "string", difference: "string", layer: "number",
  position: "number", compare: "object", range: "list", isolated: "list", label: "string", codes: "list",
  own: "string", pins: "list", scale: "string", source: "string",
};
const LATER = 250; // milliseconds after which work that is not done yet is worth a line
const DOING = { open: "opening", grid: "reading the prompt", words: "reading words", languages: "reading the prompt in each language",
  patch: "patching", steer: "writing", saved: "opening results" };

export function start(el, transport) {
  const root = h("div", { class: "latentlang-explorer", "data-lm-suppress-shortcuts": "true" });
  el.append(root);
  const store = makeStore({
    prompt: "", view: "grid", lens: "logit", adapter: "", difference: "", layer: null, position: null, compare: null,
    range: [], isolated: [], label: "", codes: [], own: "", pins: [], scale: "probability", source: "", asked: 0,
    from: null,
  });
  const palette = languageColours();
  palette.onChange(() => store.set("palette", (store.get("palette") ?? 0) + 1));
  const closing = [];
  const app = {
    live: transport.live, holds: transport.holds, store, colours: palette.colours, useColours: palette.use, element: root, open: null,
    announce: () => {}, languageName, newId, copyCode, ask, openPrompt, pinToken,
  };

  // --- asking -----------------------------------------------------------------------------------------------------
  // Ids and channels of two pages of one session are not to meet.
  const base = Math.floor(Math.random() * 2 ** 40) * 1024;
  let last = 0;
  const running = new Map();

  // take: {part(data), progress(done, total), done(code), error(text)}, each optional; gives a function that cancels.
  // A newer request on a channel takes the place of the older one, of which nothing is heard any more.
  function ask(view, args, take = {}, channel = view) {
    const id = base + ++last;
    const older = running.get(channel);
    if (older) transport.cancel(older.id);
    const run = { id, view, since: Date.now(), done: null, total: null };
    running.set(channel, run);
    setTimeout(showProgress, LATER);
    const end = () => {
      if (running.get(channel)?.id !== id) return false;
      running.delete(channel);
      showProgress();
      return true;
    };
    transport.send({ id, view, channel: `${channel} ${base}`, arguments: args }, reply => {
      if (running.get(channel)?.id !== id) return;
      if (reply.event === "part") take.part?.(reply.data);
      else if (reply.event === "progress") {
        Object.assign(run, { done: reply.done, total: reply.total });
        take.progress?.(reply.done, reply.total);
        showProgress();
      } else {
        end();
        if (reply.event === "done") {
          if (fault.dataset.channel === channel) complain("", "");
          take.done?.(reply.code);
        } else if (reply.event === "error") {
          complain(reply.text, channel);
          take.error?.(reply.text);
        } else take.cancelled?.();
      }
    });
    return () => {
      if (end()) transport.cancel(id);
    };
  }

  // --- what is said -----------------------------------------------------------------------------------------------
  const said = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const bar = h("span", { class: "progress", role: "progressbar", "aria-label": "progress" }, h("span", {}));
  const doing = h("span", { class: "doing" });
  const stop = h("button", { type: "button", class: "quiet", onclick: () => {
    for (const [channel, run] of [...running]) {
      running.delete(channel);
      transport.cancel(run.id);
    }
    showProgress();
    app.announce("stopped");
  } }, "Stop");
  const progress = h("div", { class: "status" }, bar, doing, stop);
  progress.classList.add("idle");
  const answer = h("div", { class: "said" });
  app.announce = text => { said.textContent = text; };
  app.complain = complain;

  function complain(text, channel) {
    fault.textContent = text;
    fault.hidden = !text;
    fault.dataset.channel = channel;
  }

  function showProgress() {
    // a request that has told all its steps may still learn something behind them; that is nothing to wait for
    const now = [...running.values()].find(run => Date.now() - run.since >= LATER - 5 && !(run.total && run.done >= run.total));
    progress.classList.toggle("idle", !now);
    stop.disabled = !now;
    if (!now) return;
    const share = now.total ? now.done / now.total : null;
    bar.classList.toggle("unknown", share === null);
    bar.firstChild.style.width = `${100 * (share ?? 0.3)}%`;
    if (share === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    doing.textContent = `${DOING[now.view] ?? now.view}${now.total ? `, ${now.done} of ${now.total}` : ""} …`;
  }

  function languageName(code) {
    if (!code) return "no one language";
    return app.open?.languages.find(one => one.code === code)?.name ?? code;
  }

  async function copyCode(code) {
    try {
      await navigator.clipboard.writeText(code);
    } catch { // no clipboard without a secure context, or in a frame that may not use it
      const box = h("textarea", { class: "unseen" });
      box.value = code;
      root.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    app.announce("code copied");
    copied.hidden = false;
    setTimeout(() => { copied.hidden = true; }, 1600);
  }
  const copied = h("div", { class: "copied", hidden: true }, "Code copied");

  // --- the prompt -------------------------------------------------------------------------------------------------
  const promptId = newId("prompt");
  const box = h("textarea", { id: promptId, rows: "1", spellcheck: "false", dir: "auto", autocomplete: "off",
    oninput: grow, onkeydown: event => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        read();
      }
    } });
  const button = h("button", { type: "submit", class: "primary", title: "Ctrl or Cmd with Enter" }, "Read");
  const examples = h("div", { class: "examples" });
  const form = h("form", { class: "prompt", onsubmit: event => {
    event.preventDefault();
    read();
  } }, h("label", { for: promptId }, "Prompt"), box, button);
  const heading = h("span", { class: "model" });
  const choices = h("div", { class: "choices" });

  function grow() {
    box.style.height = "auto";
    if (box.scrollHeight) box.style.height = `${Math.min(box.scrollHeight + 2, 180)}px`;
  }

  function read() {
    // reading the same prompt again is a wish as well
    store.set({ prompt: box.value, from: null, position: null, layer: null, compare: null, label: "", own: "", pins: [],
      asked: store.get("asked") + 1 });
  }

  // A prompt from elsewhere: of an example, of a row of the languages, of a saved item.
  // Gives whether it can be had here: a file that holds one prompt keeps to it.
  function openPrompt(text, { layer = null, view = "grid", source = null } = {}) {
    if (!transport.holds("grid", { prompt: text })) {
      complain(NOT_HELD, "prompt");
      return false;
    }
    box.value = text;
    grow();
    store.set({ prompt: text, from: null, position: null, layer, compare: null, label: "", own: "", pins: [], view,
      asked: store.get("asked") + 1, ...(source === null ? {} : { source }) });
    return true;
  }

  function pinToken(token) {
    const pins = store.get("pins");
    if (pins.some(pin => pin.id === token.id)) return app.announce(`${quoted(token.text)} is pinned already`);
    if (pins.length >= 6) return app.announce("six tokens are pinned; take one away first");
    store.set("pins", [...pins, token]);
    app.announce(`${quoted(token.text)} is pinned; Words shows its line`);
    return undefined;
  }

  // --- lens and adapter -------------------------------------------------------------------------------------------
  // "difference" is the chosen one less the first.
  function choose(kind, title, options) {
    if (options.length < 2) return null;
    const [first] = options;
    const all = options.map(({ id, name }) => ({ id, label: name, hint: "" }));
    for (const { id, name } of options.slice(1)) {
      all.push({ id: `difference ${id}`, label: options.length === 2 ? "difference" : `${name} − ${first.name}`,
        hint: `${name} less ${first.name}` });
    }
    const current = () => `${store.get("difference") === kind ? "difference " : ""}${store.get(kind)}`;
    const element = segmented(title, all, current(), id => {
      const different = id.startsWith("difference ");
      store.set({ [kind]: different ? id.slice(11) : id, difference: different ? kind : store.get("difference") === kind ? "" : store.get("difference") });
    });
    store.subscribe([kind, "difference"], () => element.choose(current()));
    return element;
  }

  // --- tabs -------------------------------------------------------------------------------------------------------
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
  const panels = h("div", { class: "panels" });
  const mounted = new Map();

  function showView(id) {
    for (const [other, { tab, panel, view }] of mounted) {
      const now = other === id;
      tab.setAttribute("aria-selected", String(now));
      tab.tabIndex = now ? 0 : -1;
      const was = !panel.hidden;
      panel.hidden = !now;
      if (now && !was) view.show?.();
      if (!now && was) view.hide?.();
    }
  }

  function makeTabs(able) {
    for (const one of VIEWS.filter(view => !view.needs || (able.includes(view.needs) && transport.holds(view.needs)))) {
      const tabId = newId("tab"), panelId = newId("panel");
      const tab = h("button", { type: "button", role: "tab", id: tabId, "aria-controls": panelId, title: one.hint,
        "data-view": one.id, onclick: () => store.set("view", one.id) }, one.title);
      const view = one.mount(app);
      const panel = h("section", { role: "tabpanel", id: panelId, "aria-labelledby": tabId, hidden: true,
        "data-view": one.id }, view.element);
      mounted.set(one.id, { tab, panel, view });
      tabs.append(tab);
      panels.append(panel);
    }
    tabs.addEventListener("keydown", event => {
      const ids = [...mounted.keys()], at = ids.indexOf(store.get("view"));
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + ids.length, Home: 0, End: ids.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      store.set("view", ids[to % ids.length]);
      mounted.get(ids[to % ids.length]).tab.focus();
    });
    if (!mounted.has(store.get("view"))) store.set("view", [...mounted.keys()][0]);
  }

  // --- opening ----------------------------------------------------------------------------------------------------
  root.append(
    h("header", {}, h("span", { class: "title" }, "latentlang"), heading),
    form, examples, choices, progress, fault, answer, tabs, panels, said, copied);

  function ready(open) {
    app.open = open;
    const { model } = open;
    heading.textContent = `${model.name} · ${model.layers} layers · ${model.vocabulary.toLocaleString("en")} tokens`;
    const kept = transport.page ? fromHash(location.hash, KEPT) : {};
    store.set({ prompt: open.prompt, lens: open.lenses[0].id, adapter: open.adapters?.[0]?.id ?? "",
      view: open.saved && open.views.includes("saved") ? "saved" : "grid", ...allowed(open, kept) });
    palette.use(["en"]);
    box.value = store.get("prompt");
    if (!transport.live) {
      box.readOnly = true;
      button.hidden = true;
      examples.append(h("span", { class: "quietly" }, "This page holds what was computed when it was made; other prompts, concepts and languages are read by latentlang explore."));
    }
    for (const example of (transport.live && open.examples) || []) {
      examples.append(chip(example.title, { title: example.prompt, onclick: () => openPrompt(example.prompt) }));
    }
    choices.append(...[
      choose("lens", "Lens", open.lenses),
      choose("adapter", "Adapter", open.adapters ?? []),
    ].filter(Boolean));
    app.reading = makeReading(app);
    answer.append(watchAnswer(app));
    makeTabs(open.views);
    // it was about the prompt before; a session that is gone is not back because another prompt is typed
    store.subscribe("asked", () => fault.dataset.channel === "prompt" && complain("", ""));
    store.subscribe("view", () => {
      if (fault.dataset.channel === "prompt") complain("", "");
      showView(store.get("view"));
    });
    showView(store.get("view"));
    store.subscribe("prompt", () => {
      if (box.value !== store.get("prompt")) box.value = store.get("prompt");
      grow();
    });
    grow();
    if (transport.page) keepState();
    root.dataset.ready = "true";
    store.set("asked", 1);
  }

  // What an address says is taken only as far as this session has it.
  function allowed(open, kept) {
    const fits = { ...kept };
    if (fits.lens && !open.lenses.some(one => one.id === fits.lens)) delete fits.lens;
    if (fits.adapter && !(open.adapters ?? []).some(one => one.id === fits.adapter)) delete fits.adapter;
    if (fits.layer !== undefined && !(fits.layer >= 1 && fits.layer <= open.model.layers)) delete fits.layer;
    if (fits.range && !(fits.range.length === 2 && fits.range.every(Number.isInteger))) delete fits.range;
    if (fits.pins) fits.pins = fits.pins.filter(pin => Number.isInteger(pin?.id)).slice(0, 6);
    if (!transport.live) delete fits.prompt;
    return fits;
  }

  function keepState() {
    const write = () => {
      try {
        history.replaceState(null, "", toHash(store, KEPT));
      } catch { /* a page in a frame of its own without an address */ }
    };
    closing.push(store.subscribe(Object.keys(KEPT), write));
    const follow = () => {
      if (location.hash === toHash(store, KEPT)) return;
      const kept = allowed(app.open, fromHash(location.hash, KEPT));
      const other = kept.prompt !== undefined && kept.prompt !== store.get("prompt");
      store.set({ ...kept, ...(other ? { asked: store.get("asked") + 1 } : {}) });
    };
    addEventListener("hashchange", follow);
    closing.push(() => removeEventListener("hashchange", follow));
  }

  const waiting = new ResizeObserver(() => {
    if (root.clientWidth) grow();
  });
  waiting.observe(root);
  ask("open", {}, { part: ready });
  return () => {
    for (const close of closing) close();
    for (const { view } of mounted.values()) view.close?.();
    waiting.disconnect();
    for (const run of running.values()) transport.cancel(run.id);
    running.clear();
    transport.close();
    root.remove();
  };
}

function render({ model, el }) {
  // the notebook marks a widget whose kernel ended
  return start(el, notebookTransport(model, () => Boolean(el.closest(".jupyter-widgets-disconnected"))));
}

export default { render };
