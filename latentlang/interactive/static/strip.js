// The strip of layers under the grid: what one column says at a glance; dragging over it shows these layers alone.
import { h } from "./dom.js";
import { strength } from "./colours.js";

export function layerStrip(app, choose) {
  const count = app.open.model.layers;
  const steps = [];
  for (let layer = 1; layer <= count; layer += 1) {
    steps.push(h("span", { class: "step cell", "data-step": layer, title: `layer ${layer}` }));
  }
  const handle = (title, which) => h("span", { class: `handle ${which}`, role: "slider", tabindex: "0", "aria-label": title,
    "aria-valuemin": 1, "aria-valuemax": count });
  const low = handle("first layer shown", "low"), high = handle("last layer shown", "high");
  const track = h("div", { class: "track" }, steps, low, high);
  const all = h("button", { type: "button", class: "quiet", onclick: () => choose([]) }, "All layers");
  const says = h("span", { class: "says" });
  const element = h("div", { class: "strip", title: "Drag to show some layers alone" }, h("span", { class: "name" }, "layers"), track, says, all);
  let range = [1, count];

  const layerAt = x => {
    const box = track.getBoundingClientRect();
    return Math.min(count, Math.max(1, Math.floor(((x - box.left) / box.width) * count) + 1));
  };
  let drag = null;
  track.addEventListener("pointerdown", event => {
    if (event.button) return;
    event.preventDefault();
    const layer = layerAt(event.clientX);
    const fixed = event.target === low ? range[1] : event.target === high ? range[0] : layer;
    drag = { fixed, from: layer, moved: event.target === low || event.target === high, held: event.target };
    track.setPointerCapture(event.pointerId);
    if (drag.moved) event.target.focus();
  });
  track.addEventListener("pointermove", event => {
    if (!drag) return;
    const layer = layerAt(event.clientX);
    drag.moved ||= layer !== drag.from;
    if (drag.moved) show(Math.min(drag.fixed, layer), Math.max(drag.fixed, layer));
  });
  track.addEventListener("pointerup", event => {
    if (!drag) return;
    const layer = layerAt(event.clientX), { moved, fixed } = drag;
    drag = null;
    if (moved) commit(Math.min(fixed, layer), Math.max(fixed, layer));
    else app.store.set("layer", layer);
  });
  track.addEventListener("pointercancel", () => {
    drag = null;
    show(...(app.store.get("range").length === 2 ? app.store.get("range") : [1, count]));
  });
  element.addEventListener("keydown", event => {
    const which = event.target === low ? 0 : event.target === high ? 1 : null;
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -count, End: count }[event.key];
    if (which === null || by === undefined) return;
    event.preventDefault();
    const next = [...range];
    next[which] = Math.min(which ? count : range[1], Math.max(which ? range[0] : 1, next[which] + by));
    commit(...next);
  });

  function commit(first, last) {
    choose(first === 1 && last === count ? [] : [first, last]);
    show(first, last);
  }

  function show(first, last) {
    range = [first, last];
    low.style.left = `${(100 * (first - 1)) / count}%`;
    high.style.left = `${(100 * last) / count}%`;
    low.setAttribute("aria-valuenow", first);
    high.setAttribute("aria-valuenow", last);
    steps.forEach((step, index) => step.classList.toggle("out", index + 1 < first || index + 1 > last));
    const whole = first === 1 && last === count;
    all.disabled = whole;
    says.textContent = `${first} to ${last}`;
  }

  function paint(column, now) {
    steps.forEach((step, index) => {
      const top = column?.[index]?.top[0];
      step.dataset.slot = top ? app.colours(top[0].language).slot : "";
      step.style.setProperty("--share", `${top ? 100 * strength(top[1]) : 0}%`);
      step.classList.toggle("now", index + 1 === now);
    });
  }
  show(1, count);
  return { element, show, paint };
}
