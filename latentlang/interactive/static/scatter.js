// Points on a plane, drawn on a canvas: a mark per language, a lasso, and lines between translations of one item.
import { h, quoted } from "./dom.js";

const PAD = 26, REACH = 14; // pixels around the points, and how near a pointer finds one
const LEAST = 8; // pixels within which a lasso is a click

// Marks, one a colour of languages: drawn around (0, 0) with a radius.
const MARKS = [
  (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
  (c, r) => c.rect(-r * 0.9, -r * 0.9, r * 1.8, r * 1.8),
  (c, r) => polygon(c, [[0, -r * 1.2], [r * 1.1, r * 0.8], [-r * 1.1, r * 0.8]]),
  (c, r) => polygon(c, [[0, -r * 1.3], [r * 1.3, 0], [0, r * 1.3], [-r * 1.3, 0]]),
  (c, r) => polygon(c, [[0, r * 1.2], [r * 1.1, -r * 0.8], [-r * 1.1, -r * 0.8]]),
  (c, r) => { c.rect(-r * 1.2, -r * 0.4, r * 2.4, r * 0.8); c.rect(-r * 0.4, -r * 1.2, r * 0.8, r * 2.4); },
  (c, r) => { c.arc(0, 0, r, 0, 2 * Math.PI); c.moveTo(r * 0.45, 0); c.arc(0, 0, r * 0.45, 0, 2 * Math.PI, true); },
  (c, r) => polygon(c, [[-r, -r], [r, -r * 0.2], [r, r], [-r, r * 0.2]]),
  (c, r) => c.arc(0, 0, r * 0.6, 0, 2 * Math.PI),
];

function polygon(c, corners) {
  corners.forEach(([x, y], index) => (index ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
}

// Whether a point lies within a polygon: how often a ray from it crosses the sides.
export function within([x, y], corners) {
  let inside = false;
  for (let here = 0, before = corners.length - 1; here < corners.length; before = here, here += 1) {
    const [ax, ay] = corners[here], [bx, by] = corners[before];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

// A small picture of a language's mark, for a legend.
export function markPicture(app, code) {
  const canvas = h("canvas", { width: "28", height: "28", class: "point-mark", "aria-hidden": "true" });
  const draw = () => {
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, 28, 28);
    c.save();
    c.translate(14, 14);
    c.scale(2, 2);
    c.fillStyle = resolved(app, canvas, app.colours(code).colour);
    c.beginPath();
    MARKS[markOf(app, code)](c, 4.4);
    c.fill();
    c.restore();
  };
  requestAnimationFrame(draw);
  return canvas;
}

const markOf = (app, code) => Math.min(app.colours(code).slot, MARKS.length - 1);

// A colour of the style sheet as a canvas takes it.
function resolved(app, place, colour) {
  const probe = h("span", { hidden: true, style: { color: colour } });
  app.element.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// data: {layers, x, y [layer][point], language, item, question ...}; act: {choose(indices), hover(index)}.
export function scatter(app, act) {
  const canvas = h("canvas", { tabindex: "0", role: "application", "aria-roledescription": "scatter plot", class: "scatter" });
  const tip = h("div", { class: "tip", hidden: true });
  const element = h("div", { class: "scatter-holder" }, canvas, tip);
  const c = canvas.getContext("2d");
  let data = null, at = 0, locked = true, chosen = new Set(), hovered = null, lasso = null, places = [], colours = {}, twins = new Map();

  function frame() {
    const series = locked ? data.layers.map((_, index) => index) : [at];
    let [west, east, north, south] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const index of series) {
      for (const x of data.x[index]) { west = Math.min(west, x); east = Math.max(east, x); }
      for (const y of data.y[index]) { north = Math.min(north, y); south = Math.max(south, y); }
    }
    return [west, east || west + 1, north, south || north + 1];
  }

  function draw() {
    if (!data) return;
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [west, east, north, south] = frame();
    const scaleX = (width - 2 * PAD) / (east - west || 1), scaleY = (height - 2 * PAD) / (south - north || 1);
    places = data.x[at].map((x, index) => [PAD + (x - west) * scaleX, height - PAD - (data.y[at][index] - north) * scaleY]);
    const isolated = app.store.get("isolated");
    colours = Object.fromEntries([...new Set(data.language)].map(code => [code, resolved(app, element, app.colours(code).colour)]));
    const ink = resolved(app, element, "var(--ink)"), rule = resolved(app, element, "var(--rule)"), paper = resolved(app, element, "var(--paper)");
    c.clearRect(0, 0, width, height);
    c.strokeStyle = rule;
    c.lineWidth = 1;
    c.beginPath();
    if (west < 0 && east > 0) { const x = PAD - west * scaleX; c.moveTo(x, 0); c.lineTo(x, height); }
    if (north < 0 && south > 0) { const y = height - PAD + north * scaleY; c.moveTo(0, y); c.lineTo(width, y); }
    c.stroke();
    const radius = data.language.length > 800 ? 3 : 4.2;
    data.language.forEach((code, index) => {
      const faint = (isolated.length && !isolated.includes(code)) || (chosen.size && !chosen.has(index));
      c.save();
      c.translate(...places[index]);
      c.globalAlpha = faint ? 0.16 : 0.88;
      c.fillStyle = colours[code];
      c.beginPath();
      MARKS[markOf(app, code)](c, radius);
      c.fill();
      c.strokeStyle = paper;
      c.lineWidth = 0.7;
      c.stroke();
      c.restore();
    });
    if (hovered !== null) {
      const others = twins.get(data.item[hovered]) ?? [];
      c.strokeStyle = ink;
      c.lineWidth = 1.3;
      for (const other of others) {
        if (other === hovered) continue;
        c.beginPath();
        c.moveTo(...places[hovered]);
        c.lineTo(...places[other]);
        c.stroke();
      }
      for (const other of others) {
        c.save();
        c.translate(...places[other]);
        c.beginPath();
        MARKS[markOf(app, data.language[other])](c, radius + 2.5);
        c.fillStyle = colours[data.language[other]];
        c.fill();
        c.lineWidth = 1.6;
        c.stroke();
        c.restore();
      }
    }
    if (lasso) {
      c.strokeStyle = ink;
      c.setLineDash([4, 3]);
      c.lineWidth = 1.4;
      c.beginPath();
      polygon(c, lasso);
      c.stroke();
      c.setLineDash([]);
    }
  }

  let wanted = 0;
  function later() {
    if (!wanted) wanted = requestAnimationFrame(() => { wanted = 0; draw(); });
  }

  function hover(index) {
    if (index === hovered) return;
    hovered = index;
    tip.hidden = index === null;
    if (index !== null) {
      tip.replaceChildren(h("strong", {}, app.languageName(data.language[index])), ` ${data.label[index]}`,
        h("br"), h("bdi", { dir: "auto" }, data.question[index]));
      const [x, y] = places[index], right = x > canvas.clientWidth / 2;
      Object.assign(tip.style, { top: `${y + 12}px`, left: right ? "auto" : `${x + 12}px`, right: right ? `${canvas.clientWidth - x + 12}px` : "auto" });
    }
    act.hover?.(index);
    later();
  }

  function nearest(x, y) {
    let best = null, most = REACH ** 2;
    places.forEach(([ax, ay], index) => {
      const far = (ax - x) ** 2 + (ay - y) ** 2;
      if (far < most) [best, most] = [index, far];
    });
    return best;
  }

  const where = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button || !data) return;
    canvas.setPointerCapture(event.pointerId);
    if (wanted) draw(); // the places of points that are new
    lasso = [where(event)];
  });
  canvas.addEventListener("pointermove", event => {
    if (!lasso) return hover(nearest(...where(event)));
    // a busy browser tells of several steps at once
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const place of (steps.length ? steps : [event]).map(where)) {
      const [x, y] = lasso[lasso.length - 1];
      if (Math.hypot(place[0] - x, place[1] - y) > 3) lasso.push(place);
    }
    if (lasso.length > 2) hover(null);
    return later();
  });
  canvas.addEventListener("pointerup", () => {
    if (!lasso) return;
    const corners = lasso;
    lasso = null;
    if (corners.every(([x, y]) => Math.hypot(x - corners[0][0], y - corners[0][1]) < LEAST)) {
      const one = nearest(...corners[0]);
      choose(one === null ? [] : twins.get(data.item[one]));
    } else choose(places.map((place, index) => (within(place, corners) ? index : -1)).filter(index => index >= 0));
  });
  canvas.addEventListener("pointercancel", () => { lasso = null; later(); });
  canvas.addEventListener("pointerleave", () => { if (!lasso) hover(null); });
  canvas.addEventListener("keydown", event => {
    if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
    const count = data.language.length, now = hovered ?? 0;
    const sorted = () => places.map((_, index) => index).sort((a, b) => places[a][0] - places[b][0]);
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const order = sorted(), place = order.indexOf(now), by = event.key === "ArrowRight" ? 1 : -1;
      hover(hovered === null ? order[0] : order[(place + by + count) % count]);
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const of = twins.get(data.item[now]), by = event.key === "ArrowUp" ? 1 : -1;
      hover(of[(of.indexOf(now) + by + of.length) % of.length]);
    } else if ((event.key === "Enter" || event.key === " ") && hovered !== null) choose(twins.get(data.item[hovered]));
    else if (event.key === "Escape") {
      hover(null);
      choose([]);
    } else return;
    event.preventDefault();
    if (hovered !== null) app.announce(`${app.languageName(data.language[hovered])}, ${data.label[hovered]}: ${quoted(data.question[hovered])}`);
  });

  function choose(indices) {
    chosen = new Set(indices);
    later();
    act.choose([...chosen]);
  }

  const resized = new ResizeObserver(later);
  resized.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", later);
  // a notebook has a theme of its own, which it marks there
  const themed = new MutationObserver(() => {
    later();
    setTimeout(later, 400); // JupyterLab's colours are not always its new theme's when it marks that
    act.themed?.();
  });
  for (const place of [document.documentElement, document.body]) themed.observe(place, { attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "class", "theme"] });
  return {
    element, draw: later, choose,
    show(found) {
      data = found;
      at = Math.min(at, data.layers.length - 1);
      chosen = new Set();
      hovered = null;
      tip.hidden = true;
      twins = new Map();
      data.item.forEach((item, index) => twins.set(item, [...(twins.get(item) ?? []), index]));
      later();
    },
    layer(index) {
      at = index;
      hover(null);
      canvas.setAttribute("aria-label", `Layer ${data.layers[index]}: ${data.language.length} prompts on two axes. Left and right go through them, `
        + "up and down through translations of one; Enter chooses these; a lasso chooses what it surrounds.");
      later();
    },
    lock(wish) {
      locked = wish;
      later();
    },
    places: () => places,
    close() {
      resized.disconnect();
      themed.disconnect();
      scheme.removeEventListener("change", later);
    },
  };
}
