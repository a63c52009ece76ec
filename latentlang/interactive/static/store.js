// What a reader has chosen. A page keeps it in its #hash; a notebook's widget keeps it as long as it stands.

const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

export function makeStore(values) {
  const takers = new Set();
  return {
    get: name => values[name],
    // set(name, value) or set({name: value, ...}); who subscribed to several of the names is told once.
    set(changes, value) {
      const wanted = typeof changes === "string" ? { [changes]: value } : changes;
      const changed = Object.keys(wanted).filter(name => !same(values[name], wanted[name]));
      if (!changed.length) return;
      Object.assign(values, wanted);
      for (const { names, act } of [...takers]) if (names.some(name => changed.includes(name))) act(changed);
    },
    subscribe(names, act) {
      const taker = { names: [names].flat(), act };
      takers.add(taker);
      return () => takers.delete(taker);
    },
  };
}

const read = text => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

// The named values of a #hash; what is not JSON of the right type is left out.
export function fromHash(hash, types) {
  const found = {};
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const value = types[name] === "string" ? text : read(text);
    if (types[name] && value !== undefined && (types[name] === "list" ? Array.isArray(value) : typeof value === types[name])) {
      found[name] = value;
    }
  }
  return found;
}

export function toHash(store, types) {
  const kept = new URLSearchParams();
  for (const [name, type] of Object.entries(types)) {
    const value = store.get(name);
    if (value === null || value === undefined || value === "" || value === false) continue;
    if (Array.isArray(value) && !value.length) continue;
    kept.set(name, type === "string" ? value : JSON.stringify(value));
  }
  return `#${kept}`;
}
