// The explorer: controls, tabs of views, what is announced. A view is {id, title, mount(app) -> element}.
import { h } from "./dom.js";
import { notebookTransport } from "./transport.js";

const VIEWS = [];

export function start(el, transport) {
  let last = 0;
  const app = {
    live: transport.live,
    // take: {part, progress, done, error, cancelled}, each optional; gives a function that cancels.
    ask(view, args, take = {}, channel = view) {
      const id = ++last;
      transport.send({ id, view, channel, arguments: args }, reply => take[reply.event]?.(reply));
      return () => transport.cancel(id);
    },
  };
  const root = h("div", { class: "latentlang-explorer" });
  el.append(root);
  for (const view of VIEWS) root.append(view.mount(app));
  return () => root.remove();
}

function render({ model, el }) {
  return start(el, notebookTransport(model));
}

export default { render };
