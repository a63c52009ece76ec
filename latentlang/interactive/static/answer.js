// The sentence in front of the views: which language leads on the way to the answer, and from where the answer's own does.
import { h, percent } from "./dom.js";

// What the words of one position say; every claim is above the null, the 95th percentile of wrong concepts' words.
export function findAnswer(words, { asked, named, layers }) {
  const rows = words.rows.filter(row => row.kind === "word" && row.probability.some(p => p !== null));
  const above = (row, at) => row.probability[at] !== null && row.probability[at] > (row.high?.[at] ?? row.null?.[at] ?? 0);
  const winner = at => rows.filter(row => above(row, at))
    .reduce((best, row) => (!best || row.probability[at] > best.probability[at] ? row : best), null);
  const winners = words.layers.map((_, at) => winner(at));
  const last = winners[winners.length - 1];
  const own = asked ?? last?.language ?? null;
  let from = winners.length;
  while (from > 0 && winners[from - 1]?.language === own) from -= 1;
  const before = from < winners.length ? from : winners.length;
  let best = null;
  for (let at = 0; at < before; at += 1) {
    const row = winners[at];
    if (row && row.language !== own && (!best || row.probability[at] > best.probability)) {
      best = { layer: words.layers[at], language: row.language, word: row.word, probability: row.probability[at] };
    }
  }
  return { layers, own, ownFrom: from < winners.length ? words.layers[from] : null,
    ownWord: rows.find(row => row.language === own)?.word ?? null, best, said: last?.language ?? null,
    untold: words.rows.filter(row => row.kind === "word" && !rows.includes(row)).map(row => row.language),
    copied: Boolean(best && named.includes(best.language) && best.language !== own) };
}

// What cannot be counted is said too: where each token of a word begins other languages' words, it has no number.
export function answerParts(app, found) {
  const parts = sentence(app, found);
  if (found.untold.length) {
    parts.push(h("small", {}, ` Not counted, since none of their tokens is theirs alone: ${found.untold.map(app.languageName).join(", ")}.`));
  }
  return parts;
}

function sentence(app, found) {
  const name = code => {
    const { pattern, slot } = app.colours(code);
    return h("strong", { class: "tongue" }, h("span", { class: `mark ${pattern}`, "data-slot": slot, "aria-hidden": "true" }), app.languageName(code));
  };
  const word = text => h("bdi", { dir: "auto", class: "word" }, text);
  const parts = [];
  if (found.best) {
    const { layer, language, probability } = found.best;
    parts.push(`At layer ${layer} of ${found.layers} the likeliest language before the answer is `, name(language), " (",
      word(found.best.word), `, ${percent(probability)})`, found.copied ? ", in which the prompt itself says the word" : "");
  } else if (found.own && found.ownFrom !== null) {
    parts.push("Before the answer no other language stands above its null");
  } else {
    return ["At this place no language stands above its null: the layers give none of these words more than wrong ones."];
  }
  if (found.ownFrom === null) {
    parts.push(found.own ? "; the answer in " : "", found.own ? name(found.own) : "",
      found.own ? " never leads." : ".");
  } else {
    parts.push("; the answer itself is ", name(found.own), found.ownWord ? [" (", word(found.ownWord), ")"] : "",
      found.ownFrom === 1 ? " at every layer." : found.ownFrom === found.layers ? " at the last layer only." : ` from layer ${found.ownFrom} on.`);
  }
  return parts.flat();
}

export function watchAnswer(app) {
  const { store } = app;
  let about = null, found = null;
  const show = () => element.replaceChildren(...answerParts(app, found));
  const element = h("p", { class: "answer" });
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
      element.replaceChildren(label || own ? "" : "No word of the task was recognised in this prompt; the colours show the language of each layer's likeliest token.");
      return;
    }
    const key = JSON.stringify([store.get("asked"), args]);
    if (key === about) return;
    about = key;
    found = null;
    element.classList.add("old");
    app.reading.askWords(args, { part: words => {
      found = findAnswer(words, { asked: data.asked, named: data.named, layers: app.open.model.layers });
      element.classList.remove("old");
      show();
      app.announce(element.textContent);
    }, error: () => element.replaceChildren() }, "answer");
  };
  store.subscribe(["reading", "label", "codes", "own"], update);
  store.subscribe("palette", () => found && show());
  return element;
}
