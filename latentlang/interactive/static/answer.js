// The sentence in front of the views: as which language each layer reads, on the way to the answer and at it.
import { h, percent, ranges, tokenSpan } from "./dom.js";

// A word that stands less above wrong words than this says nothing of a layer.
export const LEAST_ABOVE_NULL = 0.01;
// From this probability on a likeliest token of another language than the word that leads is worth telling.
const WORTH_TELLING = 0.1;
const MOST_TOLD = 4; // languages in one sentence

// Whether a word stands above its null there: over the 95th percentile of wrong concepts' words, and enough over their mean.
export function isAbove(row, at) {
  const p = row.probability[at], mean = row.null?.[at] ?? 0;
  return p !== null && p !== undefined && p > (row.high?.[at] ?? mean) && p - mean >= LEAST_ABOVE_NULL;
}

// Places of layers by language, each with the highest probability there, in the order of their first layer.
function grouped(found) {
  const groups = new Map();
  for (const { layer, language, probability, ...rest } of found) {
    const group = groups.get(language) ?? { language, layers: [], probability: 0 };
    group.layers.push(layer);
    if (probability > group.probability) Object.assign(group, { probability, ...rest });
    groups.set(language, group);
  }
  return [...groups.values()];
}

// What the words of one position say, and where the likeliest token is another language's (column: its cells by layer).
export function findAnswer(words, { asked, named, layers, column, unreliable }) {
  const rows = words.rows.filter(row => row.kind === "word" && row.probability.some(p => p !== null));
  const winners = new Map();
  words.layers.forEach((layer, at) => {
    if (unreliable.includes(layer)) return;
    const best = rows.filter(row => isAbove(row, at))
      .reduce((most, row) => (!most || row.probability[at] > most.probability[at] ? row : most), null);
    if (best) winners.set(layer, { layer, language: best.language, word: best.word, probability: best.probability[at] });
  });
  const own = asked ?? winners.get(layers)?.language ?? null;
  const tokens = words.layers.flatMap(layer => {
    const [token, probability] = column?.[layer - 1]?.top[0] ?? [];
    // a part of a character is no sign of a language: many write characters that begin with the same byte
    const tells = token?.language && !token.bytes && probability >= WORTH_TELLING && !unreliable.includes(layer)
      && token.language !== winners.get(layer)?.language;
    return tells ? [{ layer, language: token.language, token, probability }] : [];
  });
  return { layers, own, named, ownWord: rows.find(row => row.language === own)?.word ?? null,
    leading: grouped([...winners.values()]), tokens: grouped(tokens),
    untold: words.rows.filter(row => row.kind === "word" && !rows.includes(row)).map(row => row.language) };
}

// What cannot be counted is said too: where each token of a word begins other languages' words, it has no number.
export function answerParts(app, found) {
  const parts = [leading(app, found), likeliestTokens(app, found)].flat();
  if (found.untold.length) {
    parts.push(h("small", {}, ` Not counted, since none of their tokens is theirs alone: ${found.untold.map(app.languageName).join(", ")}.`));
  }
  return parts;
}

function tongue(app, code) {
  const { pattern, slot } = app.colours(code);
  return h("strong", { class: "tongue" }, h("span", { class: `mark ${pattern}`, "data-slot": slot, "aria-hidden": "true" }), app.languageName(code));
}

const wordOf = text => h("bdi", { dir: "auto", class: "word" }, text);
const upTo = ({ layers, probability }) => `${layers.length > 1 ? "up to " : ""}${percent(probability)}`;

// The languages told: the highest ones and the answer's own, in the order of the layers.
function told(groups, own) {
  const kept = new Set([...groups].sort((a, b) => (b.language === own) - (a.language === own) || b.probability - a.probability)
    .slice(0, MOST_TOLD));
  return groups.filter(group => kept.has(group));
}

function leading(app, found) {
  const { own, named, layers } = found;
  const shown = told(found.leading, own);
  if (!shown.length) return ["At no layer does one of these words stand above wrong words."];
  const parts = shown.map((group, index) => {
    const role = group.language === own ? "; the answer" : named.includes(group.language) ? "; the prompt’s own word" : "";
    const several = group.layers.length > 1;
    return [index ? ", " : `Layer${several ? "s" : ""} `, ranges(group.layers), index ? " as " : ` of ${layers} read${several ? "" : "s"} as `,
      tongue(app, group.language), " (", wordOf(group.word), `, ${upTo(group)}${role})`];
  });
  const others = found.leading.length - shown.length;
  if (others) parts.push(`, ${others} more language${others > 1 ? "s" : ""} elsewhere`);
  if (own && !shown.some(group => group.language === own)) {
    parts.push("; the answer’s ", tongue(app, own), found.ownWord ? [" (", wordOf(found.ownWord), ")"] : "", " never leads");
  }
  return [...parts, "."].flat(2);
}

function likeliestTokens(app, found) {
  const shown = told(found.tokens, null);
  if (!shown.length) return [];
  return [" The likeliest token itself is ", ...shown.flatMap((group, index) => [index ? ", " : "", tongue(app, group.language),
    ` at layer${group.layers.length > 1 ? "s" : ""} ${ranges(group.layers)} (`, tokenSpan(group.token), `, ${upTo(group)})`]), "."];
}

export function watchAnswer(app) {
  const { store } = app;
  let about = null, words = null, shown = "", prompt = null;
  const element = h("p", { class: "answer" });
  const show = () => {
    const { data } = app.reading;
    if (data?.prompt !== prompt) return; // the words are of the prompt before
    const found = findAnswer(words, { asked: data.asked, named: data.named, layers: app.open.model.layers,
      column: data.cells[data.tokens.length - 1], unreliable: data.unreliable });
    app.reading.told = told(found.leading, found.own).map(group => group.language);
    app.reading.useColours();
    element.replaceChildren(...answerParts(app, found));
    if (element.textContent === shown) return;
    shown = element.textContent;
    app.announce(shown);
  };
  const update = () => {
    const { data } = app.reading;
    if (!data) {
      about = null;
      element.replaceChildren();
      return;
    }
    const label = app.reading.label(), own = store.get("own");
    const args = { prompt: data.prompt, position: data.tokens.length - 1, lens: data.lens, adapter: data.adapter,
      label, languages: app.reading.codes(), tokens: [] };
    if (!label || own) {
      about = null;
      element.classList.remove("old");
      element.replaceChildren(label || own ? "" : "No word of the task was recognised in this prompt; the colours show the language of each layer's likeliest token.");
      return;
    }
    const key = JSON.stringify([store.get("asked"), args]);
    if (key === about) {
      if (words) show();
      return;
    }
    about = key;
    words = null;
    prompt = data.prompt;
    element.classList.add("old");
    app.reading.askWords(args, { part: part => {
      words = part;
      element.classList.remove("old");
      show();
    }, error: () => {
      element.classList.remove("old");
      element.replaceChildren();
    } }, "answer");
  };
  // what stands there is of the prompt before, until the new one is read
  store.subscribe("asked", () => element.classList.add("old"));
  store.subscribe(["reading", "label", "codes", "own"], update);
  store.subscribe("palette", () => words && show());
  return element;
}
