// The prompt as it was read: cells of all layers and positions as they come, of the first lens or adapter too where
// their difference is shown, and the words of the languages. Views draw what is here.

const DRAWN_IN = ["grid", "words", "languages"]; // views that draw what is here

// Store names: "reading" counts what has come; data holds it.
export function makeReading(app) {
  const { store } = app;
  // told: languages that the sentence in front of the views names
  const reading = { data: null, words: new Map(), told: [] };

  function empty(prompt, lens, adapter, head) {
    return { prompt, lens, adapter, tokens: head.tokens, label: head.label ?? null, asked: head.asked ?? null,
      named: head.named ?? [],
      languages: head.languages ?? null, window: head.window ?? { from: 0, to: head.tokens.length }, cells: head.tokens.map(() => null), base: head.tokens.map(() => null), layer: null,
      unreliable: [], fresh: [], done: false, code: "" };
  }

  // Languages of the cells so far, those of the last column first, where the answer is, then the most frequent ones.
  function seen(cells) {
    const times = new Map();
    cells.forEach((column, at) => {
      const weight = at === cells.length - 1 ? 1000 : 1;
      for (const { top: [[token]] } of column ?? []) times.set(token.language, (times.get(token.language) ?? 0) + weight);
    });
    times.delete(null);
    return [...times].sort((a, b) => b[1] - a[1]).map(([code]) => code);
  }

  // While another view is looked at, its languages keep their colours.
  function useColours() {
    if (!reading.data) return;
    const { asked, named, cells } = reading.data;
    app.useColours(["en", asked, ...named, ...reading.told, ...seen(cells)], { takeOver: DRAWN_IN.includes(store.get("view")) });
  }

  function tell() {
    store.set("reading", (store.get("reading") ?? 0) + 1);
  }

  function keep(place, data) {
    data.positions.forEach((position, index) => { place[position] = data.cells[index]; });
  }

  function read() {
    const prompt = store.get("prompt"), lens = store.get("lens"), adapter = store.get("adapter");
    const difference = store.get("difference");
    let mine = null;
    const from = store.get("from");
    app.ask("grid", { prompt, lens, adapter, top: 5, ...(from === null ? {} : { from }) }, {
      part: data => {
        if (data.tokens) {
          const same = reading.data && reading.data.tokens.length === data.tokens.length && reading.data.prompt === prompt;
          mine = empty(prompt, lens, adapter, data);
          // the old picture stands until the new one is there
          if (same) mine.layer = reading.data.layer;
          reading.data = mine;
          if (!same) reading.told = [];
          useColours();
          if ((store.get("position") ?? 0) >= mine.tokens.length) store.set("position", null);
        }
        if (data.positions) {
          keep(mine.cells, data);
          mine.fresh = data.positions;
          useColours();
        }
        if (data.unreliable) mine.unreliable = data.unreliable;
        if (data.layer !== undefined) {
          mine.layer = data.layer;
          if (difference) readBase(mine, difference);
        }
        tell();
      },
      done: code => {
        mine.code = code;
        mine.done = true;
        tell();
      },
      error: () => {
        if (reading.data && reading.data.prompt !== prompt) reading.data = null;
        tell();
      },
    });
  }

  function readBase(mine, difference) {
    const first = difference === "lens" ? { lens: app.open.lenses[0].id } : { adapter: app.open.adapters[0].id };
    const from = store.get("from");
    const args = { prompt: mine.prompt, lens: mine.lens, adapter: mine.adapter, top: 5, ...(from === null ? {} : { from }), ...first };
    app.ask("grid", args, {
      part: data => {
        if (!data.positions || reading.data !== mine) return;
        keep(mine.base, data);
        mine.fresh = data.positions;
        tell();
      },
    }, "grid of the first");
  }

  // Words of a position: {part(data), done(code), error}; what was read once is not asked for again.
  function words(args, take, channel = "words") {
    const key = JSON.stringify([store.get("asked"), args]);
    const kept = reading.words.get(key);
    if (kept) {
      take.part(kept.data);
      take.done?.(kept.code);
      return;
    }
    let held = null;
    app.ask("words", args, {
      part: data => {
        held = data;
        take.part(data);
      },
      done: code => {
        reading.words.set(key, { data: held, code });
        while (reading.words.size > 30) reading.words.delete(reading.words.keys().next().value);
        take.done?.(code);
      },
      error: take.error,
    }, channel);
  }

  // Languages whose words are looked for at first: those of the session and those that the prompt names.
  function codes() {
    const chosen = store.get("codes");
    if (chosen.length) return chosen;
    const data = reading.data;
    if (data?.languages) return data.languages;
    return [...new Set([...app.open.first, ...(data?.named ?? []), ...(data?.asked ? [data.asked] : [])])];
  }

  store.subscribe(["prompt", "asked", "from", "lens", "adapter", "difference"], read);
  return Object.assign(reading, {
    askWords: words, codes, useColours,
    position: () => {
      const { from, to } = reading.data?.window ?? { from: 0, to: 1 };
      return Math.max(from, Math.min(store.get("position") ?? Infinity, to - 1));
    },
    first: () => (store.get("difference") === "lens" ? app.open.lenses : app.open.adapters ?? [])[0]?.name ?? "the first",
    layer: () => store.get("layer") ?? reading.data?.layer ?? app.open.model.layers,
    label: () => store.get("label") || reading.data?.label || null,
    isDifference: () => Boolean(store.get("difference")),
  });
}
