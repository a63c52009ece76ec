// Steer: what the model writes as it is, towards a language and in a random direction, token by token.
import { h, newId, number, quoted, ranges, tableOf, tokenSpan } from "./dom.js";
import { languageMark, viewTools } from "./controls.js";
import { VIEWS } from "./registry.js";

VIEWS.push({ id: "steer", title: "Steer", needs: "steer", mount,
  hint: "Add the direction of a language while the model writes" });

const ARMS = { before: "As it is", after: "Steered", random: "Random direction, as long" };
const FIRST_SHOWN = 8; // languages whose buttons stand there at once

function mount(app) {
  const { store } = app;
  const count = app.open.model.layers;
  const place = h("div", { class: "alternative" });
  const tools = viewTools(app, asTable, place);
  const state = { wanted: null, layers: null, head: null, arms: {}, cancel: null };

  // --- what is chosen ---------------------------------------------------------------------------------------------
  const codes = app.open.languages.map(one => one.code);
  const buttons = new Map();
  const more = h("button", { type: "button", class: "quiet", onclick: () => {
    for (const button of buttons.values()) button.hidden = false;
    more.hidden = true;
  } }, "More languages");
  const languages = h("div", { class: "legend", role: "radiogroup", "aria-label": "Language to steer to" });
  function languageButtons() {
    const opened = more.hidden;
    buttons.clear();
    languages.replaceChildren(...codes.map((code, index) => {
      const button = h("button", { type: "button", class: "language", role: "radio", "data-code": code,
        "aria-checked": String(code === state.wanted), "aria-pressed": String(code === state.wanted),
        hidden: index >= FIRST_SHOWN && !opened && code !== state.wanted,
        onclick: () => {
          choose(code);
          write();
        } }, languageMark(app, code), h("span", {}, app.languageName(code)), h("span", { class: "code" }, code));
      buttons.set(code, button);
      return button;
    }), ...(codes.length > FIRST_SHOWN && !opened ? [more] : []));
  }

  function choose(code) {
    state.wanted = code;
    app.useColours(["en", code, app.reading?.data?.asked, ...app.open.first].filter(Boolean));
    for (const [other, button] of buttons) {
      button.setAttribute("aria-checked", String(other === code));
      button.setAttribute("aria-pressed", String(other === code));
    }
  }
  languages.addEventListener("keydown", event => {
    const shown = [...buttons.values()].filter(button => !button.hidden), at = shown.indexOf(document.activeElement);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || at < 0) return;
    event.preventDefault();
    shown[(at + by + shown.length) % shown.length].focus();
  });

  function field(title, hint, attributes) {
    const id = newId("field");
    const input = h("input", { id, title: hint, ...attributes });
    return { input, element: h("div", { class: "field" }, h("label", { for: id, title: hint }, title), input) };
  }
  const strength = field("Strength", "length of what is added, over the length of the residual stream there",
    { type: "range", min: "-1", max: "1.5", step: "0.05", value: "0.4" });
  const says = h("output", { class: "says" }, "0.40 of the stream’s length");
  strength.input.addEventListener("input", () => {
    const value = Number(strength.input.value);
    says.textContent = `${number(Math.abs(value))} of the stream’s length${value < 0 ? ", away from the language" : ""}`;
  });
  strength.input.addEventListener("change", write);
  strength.element.append(says);
  const layers = field("Layers", `numbers from 1 to ${count}, such as “4, 8-12”; empty for the one at three quarters of the depth`,
    { type: "text", placeholder: String(Math.max(1, Math.round(0.75 * count))), autocomplete: "off", onchange: write });
  const tokens = field("Tokens", "new tokens at most", { type: "number", min: "1", max: "200", value: "24", onchange: write });
  tokens.input.classList.add("narrow");
  const go = h("button", { type: "button", class: "go", onclick: write }, "Write");
  const stop = h("button", { type: "button", class: "quiet", disabled: true, onclick: () => {
    state.cancel?.();
    ended("stopped");
  } }, "Stop writing");

  // --- what is written --------------------------------------------------------------------------------------------
  const about = h("p", { class: "about now" });
  const fault = h("p", { class: "warning", role: "alert", hidden: true });
  const boxes = {};
  const texts = h("div", { class: "arms" }, Object.entries(ARMS).map(([arm, title]) => {
    const text = h("p", { class: "written", dir: "auto" }), note = h("p", { class: "quietly" });
    boxes[arm] = { text, note };
    return h("section", { class: `arm ${arm}`, "aria-label": title }, h("h3", {}, title), text, note);
  }));
  const element = h("div", { class: "view steer-view" },
    h("p", { class: "about" }, "What the model writes after the prompt: as it is, with a language’s direction added inside, and with a random one."),
    h("div", { class: "head" }, languages, tools.element),
    h("div", { class: "row" }, strength.element, layers.element, tokens.element, go, stop),
    fault, about, texts,
    h("p", { class: "help" }, "The direction is the difference of means: words asked for in the language, less the same words asked for in another. ",
      "It is added after the layers named, at every position that a new token is predicted from. The random direction is as long at each of them: where its text breaks or goes round in circles, so much of a change does harm by itself; try less. ",
      "One prompt is an example; ll.steer measures over many, on items that nothing was chosen by."),
    place);

  // "4, 8-12" as numbers; null for none, undefined for what is none.
  function layersAsked() {
    const text = layers.input.value.trim();
    if (!text) return null;
    const found = new Set();
    for (const part of text.split(",")) {
      const [, from, to] = /^\s*(\d+)\s*(?:[-–]\s*(\d+)\s*)?$/.exec(part) ?? [];
      if (!from || Number(from) < 1 || Number(to ?? from) > count || Number(to ?? from) < Number(from)) return undefined;
      for (let layer = Number(from); layer <= Number(to ?? from); layer += 1) found.add(layer);
    }
    return [...found].sort((a, b) => a - b);
  }

  function write() {
    const asked = layersAsked(), length = Number(tokens.input.value);
    fault.hidden = true;
    if (asked === undefined || !(length >= 1 && length <= 200)) {
      fault.textContent = asked === undefined
        ? `Layers are numbers from 1 to ${count}, such as “4, 8-12”, not ${quoted(layers.input.value)}.` : "Tokens are a number from 1 to 200.";
      fault.hidden = false;
      return;
    }
    state.head = null;
    state.arms = Object.fromEntries(Object.keys(ARMS).map(arm => [arm, { tokens: [], step: null, to: null, circle: null, done: false }]));
    draw();
    stop.disabled = false;
    element.classList.add("working");
    about.textContent = "reading the language’s direction …";
    state.cancel = app.ask("steer", { prompt: store.get("prompt"), language: state.wanted, strength: Number(strength.input.value),
      layers: asked, tokens: length, adapter: store.get("adapter") }, {
      progress: (done, total) => {
        about.textContent = `reading the language’s direction: ${done} of ${total} prompts …`;
      },
      part: data => {
        if (data.arm) {
          const arm = state.arms[data.arm];
          if (data.again) {
            arm.tokens = [];
            state.head.from = data.from;
            tellAbout();
          }
          arm.tokens.push(...data.tokens);
          Object.assign(arm, { step: data.switch ?? null, to: data.to ?? null, circle: data.circle ?? null, done: data.done });
          drawArm(data.arm);
        } else {
          state.head = data;
          tellAbout();
        }
      },
      done: code => {
        tools.setCode(code);
        tellAbout();
        ended("written");
      },
      error: text => {
        fault.textContent = text;
        fault.hidden = false;
        about.textContent = "";
        ended("");
      },
      cancelled: () => ended("stopped"),
    });
  }

  function ended(text) {
    stop.disabled = true;
    element.classList.remove("working");
    state.cancel = null;
    if (text) {
      app.announce(`${text}: ${switches().join("; ")}`);
      if (!state.head) about.textContent = text;
    }
    tools.refresh();
  }

  function tellAbout() {
    const { wanted, asked, layers: at, from } = state.head;
    about.replaceChildren("From ", mark(asked), " to ", mark(wanted), `, after layer${at.length > 1 ? "s" : ""} ${ranges(at)}`,
      from ? `; the prompt ends in ${app.languageName(from)}.` : ".");
  }
  const mark = code => h("strong", {}, languageMark(app, code), ` ${app.languageName(code)}`);

  function drawArm(name) {
    const { tokens: written, step, to, circle, done } = state.arms[name];
    const { text, note } = boxes[name];
    text.replaceChildren(...written.map((token, place) => {
      const { slot } = app.colours(token.language);
      const span = tokenSpan(token, { title: `${quoted(token.text)}: ${app.languageName(token.language)}` });
      if (token.language) Object.assign(span.dataset, { slot, language: token.language });
      if (place === step) {
        span.classList.add("switch");
        span.title += ", here the language switches";
      }
      return place === step ? h("span", { class: "at-switch" }, h("span", { class: "flag" }, `→ ${to}`), span) : span;
    }), ...(written.length ? [] : [h("span", { class: "quietly" }, done ? "nothing: the text ends here" : "…")]));
    const ending = step === null ? "no switch of language is seen" : `switches to ${app.languageName(to)} at token ${step + 1} of ${written.length}`;
    note.textContent = step === null && !done ? "" : [ending, languagesOf(written), circlesFrom(circle)].filter(Boolean).join("; ");
  }

  const circlesFrom = circle => (circle === null ? "" : `from token ${circle + 1} on it only repeats itself, which says nothing of a language`);

  // "3 of 24 tokens are German, 1 Japanese"
  function languagesOf(written) {
    const times = new Map();
    for (const { language } of written) if (language) times.set(language, (times.get(language) ?? 0) + 1);
    const counts = [...times].sort((a, b) => b[1] - a[1]).map(([code, count], index) =>
      (index ? `${count} ${app.languageName(code)}` : `${count} of ${written.length} tokens ${count === 1 ? "is" : "are"} ${app.languageName(code)}`));
    return counts.join(", ");
  }

  function draw() {
    for (const name of Object.keys(state.arms)) drawArm(name);
  }

  const switches = () => Object.entries(ARMS).map(([arm, title]) => {
    const { step, to } = state.arms[arm];
    return `${title}: ${step === null ? "no switch" : `${app.languageName(to)} from token ${step + 1} on`}`;
  });

  function asTable() {
    if (!state.arms.before) return null;
    const longest = Math.max(...Object.values(state.arms).map(arm => arm.tokens.length));
    const cell = (arm, place) => {
      const token = state.arms[arm].tokens[place];
      return token ? [tokenSpan(token), token.language ? ` ${token.language}` : "", state.arms[arm].step === place ? " (switch)" : ""] : "";
    };
    return h("div", { class: "scroll" }, tableOf("New tokens, their languages and where the language switches", ["token", ...Object.values(ARMS)],
      Array.from({ length: longest }, (_, place) => [String(place + 1), ...Object.keys(ARMS).map(arm => cell(arm, place))])));
  }

  function start() {
    if (state.wanted) return;
    const asked = app.reading?.data?.asked ?? null;
    choose(["ja", "fr", ...codes].find(code => codes.includes(code) && code !== asked && code !== "en"));
    languageButtons();
    write();
  }

  let prompted = null;
  store.subscribe(["prompt", "adapter"], () => {
    prompted = null;
    if (state.wanted && store.get("view") === "steer") write();
  });
  store.subscribe("palette", () => {
    if (!state.wanted) return;
    languageButtons();
    draw();
    if (state.head) tellAbout();
  });
  // Which language the prompt asks for is known once it is read, or cannot be.
  let awaited = false;
  store.subscribe("reading", () => {
    if (awaited) start();
    awaited = false;
  });
  return { element, hide: () => {}, show: () => {
    if (!state.wanted && app.reading && !app.reading.data) awaited = true;
    else if (!state.wanted) start();
    else {
      choose(state.wanted); // other views may have taken its colour
      if (prompted !== store.get("prompt")) write();
    }
    prompted = store.get("prompt");
  } };
}
