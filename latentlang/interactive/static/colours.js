// Colours of languages: eight that colour-blind readers tell apart, each with a pattern and a dash of its own, given in
// order of use; further languages are grey. The colours themselves are in the style sheet, for light and dark.

export const SLOTS = 8;
const GREY = SLOTS;
const NONE = SLOTS + 1; // of what is no one language's
export const DASHES = ["", "7 3", "2 3", "9 3 2 3", "5 5", "12 4", "1 3 5 3", "3 2", "2 5", "1 2"];

export function languageColours() {
  const slots = new Map();
  let taken = () => {};

  // The languages that a picture needs most, the most wanted first; those that have a colour keep it. Where all eight
  // are given, one that is not wanted now gives way, unless the picture is one of more languages than colours.
  function use(codes, { takeOver = true } = {}) {
    const wanted = [...new Set(codes.filter(Boolean))].slice(0, SLOTS);
    let changed = false;
    for (const code of wanted) {
      if (slots.has(code)) continue;
      let free = [...Array(SLOTS).keys()].find(slot => ![...slots.values()].includes(slot));
      if (free === undefined) {
        const idle = takeOver && [...slots].find(([other]) => !wanted.includes(other));
        if (!idle) break;
        free = idle[1];
        slots.delete(idle[0]);
      }
      slots.set(code, free);
      changed = true;
    }
    if (changed) taken();
  }

  function colours(code) {
    const slot = slots.get(code) ?? (code ? GREY : NONE);
    return {
      slot,
      colour: `var(--line-${slot})`,
      fill: `var(--fill-${slot})`,
      pattern: `pattern-${slot}`,
      dash: DASHES[slot],
    };
  }
  return { use, colours, onChange: act => { taken = act; } };
}

// How strongly a cell is coloured: between nothing and full as the square root of the probability, since most of what
// is to be seen happens below 10%.
export function strength(p) {
  return Math.sqrt(Math.min(1, Math.max(0, p ?? 0)));
}
