// How requests reach the session and replies come back: a notebook's comm, HTTP, or replies that a file holds.
// Each gives send(request, take), cancel(id) and close(); take is called with every reply of the request.
// live: anything can be asked for; page: the page is the explorer's own, so its address may hold the state.

const LAST = ["done", "error", "cancelled"];

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
    async send(request, take) {
      let ended = false;
      const hear = reply => {
        ended ||= LAST.includes(reply.event);
        take(reply);
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

// A recorded request answers all requests of its view that agree in the arguments that it names.
export function frozenTransport(recorded) {
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const agrees = (kept, asked) => Object.entries(kept).every(([name, value]) => same(value, asked[name]));
  return {
    live: false,
    page: true,
    send(request, take) {
      const kept = recorded.find(one => one.view === request.view && agrees(one.arguments, request.arguments));
      const replies = kept?.replies ?? [
        { event: "error", text: "this page holds what was computed when it was made, and this is not among it" },
      ];
      for (const reply of replies) queueMicrotask(() => take({ ...reply, id: request.id }));
    },
    cancel() {},
    close() {},
  };
}
