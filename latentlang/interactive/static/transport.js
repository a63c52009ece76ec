// How requests reach the session and replies come back: a notebook's comm, HTTP, or replies that a file holds.
// Each gives send(request, take), cancel(id) and close(); take is called with every reply of the request.
// live: anything can be asked for; page: the page is the explorer's own, so its address may hold the state;
// holds(view, args): whether what agrees in these arguments can be answered at all.

const LAST = ["done", "error", "cancelled"];
// What a file that holds a state says of everything else.
export const NOT_HELD = "this page holds what was computed when it was made, and this is not among it; latentlang explore reads it";

// gone: whether the kernel that made the widget is no more; what is sent then reaches nobody, and nothing says so.
export function notebookTransport(model, gone = () => false) {
  const takers = new Map();
  const hear = reply => {
    takers.get(reply.id)?.(reply);
    if (LAST.includes(reply.event)) takers.delete(reply.id);
  };
  model.on("msg:custom", hear);
  const post = (message, failed) => {
    try {
      Promise.resolve(model.send(message)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
  return {
    live: true,
    page: false,
    holds: () => true,
    send(request, take) {
      takers.set(request.id, take);
      const failed = () => hear({ id: request.id, event: "error", text: "the kernel does not answer; run the cell again" });
      if (gone()) queueMicrotask(failed);
      else post(request, failed);
    },
    cancel(id) {
      if (!gone()) post({ cancel: id }, () => {});
    },
    close() {
      model.off("msg:custom", hear);
      takers.clear();
    },
  };
}

export function httpTransport(address) {
  const post = message => fetch(address, { method: "POST", body: JSON.stringify(message) });
  return {
    live: true,
    page: true,
    holds: () => true,
    async send(request, take) {
      let ended = false;
      const hear = reply => {
        ended ||= LAST.includes(reply.event);
        try {
          take(reply);
        } catch (error) { // the page's own fault, which is no sign that nobody answers
          reportError(error);
        }
      };
      try {
        const answer = await post(request);
        if (!answer.ok) throw new Error(`it says ${answer.status}`);
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const lines = (rest + value).split("\n");
          rest = lines.pop();
          for (const line of lines) if (line) hear(JSON.parse(line));
        }
        if (!ended) throw new Error("it ended in the middle of the answer");
      } catch (error) {
        if (!ended) take({ id: request.id, event: "error", text: `the session does not answer (${error.message}); is it still running?` });
      }
    },
    cancel(id) {
      post({ cancel: id }).catch(() => {});
    },
    close() {},
  };
}

// A recorded request answers all requests of its view that agree in the arguments that it names, and those of some of its
// languages.
export function frozenTransport(recorded) {
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const some = (kept, asked) => Array.isArray(kept) && Array.isArray(asked) && asked.length > 0 && asked.every(one => kept.includes(one));
  const fits = (name, kept, asked) => same(kept, asked) || (name === "languages" && some(kept, asked));
  const agrees = (kept, asked) => Object.entries(kept).every(([name, value]) => fits(name, value, asked[name]));
  const ofThese = (data, languages) => (data?.rows && languages
    ? { ...data, rows: data.rows.filter(row => row.kind !== "word" || languages.includes(row.language)) } : data);
  return {
    live: false,
    page: true,
    holds: (view, args = {}) => recorded.some(one => one.view === view
      && Object.entries(args).every(([name, value]) => !(name in one.arguments) || fits(name, one.arguments[name], value))),
    send(request, take) {
      const kept = recorded.find(one => one.view === request.view && agrees(one.arguments, request.arguments));
      const replies = kept?.replies ?? [
        { event: "error", text: NOT_HELD },
      ];
      for (const reply of replies) {
        queueMicrotask(() => take({ ...reply, id: request.id, ...(reply.data ? { data: ofThese(reply.data, request.arguments.languages) } : {}) }));
      }
    },
    cancel() {},
    close() {},
  };
}
