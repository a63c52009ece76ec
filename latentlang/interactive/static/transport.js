// How requests reach the session and replies come back: a notebook's comm, HTTP, or replies that a file holds.
// Each gives send(request, take) and cancel(id); take is called with every reply of the request.

export function notebookTransport(model) {
  const takers = new Map();
  model.on("msg:custom", reply => takers.get(reply.id)?.(reply));
  return {
    live: true,
    send(request, take) {
      takers.set(request.id, take);
      model.send(request);
    },
    cancel(id) {
      model.send({ cancel: id });
    },
  };
}

export function httpTransport(address) {
  const post = message => fetch(address, { method: "POST", body: JSON.stringify(message) });
  return {
    live: true,
    async send(request, take) {
      try {
        const answer = await post(request);
        if (!answer.ok) throw new Error(await answer.text());
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const lines = (rest + value).split("\n");
          rest = lines.pop();
          for (const line of lines) if (line) take(JSON.parse(line));
        }
      } catch (error) {
        take({ id: request.id, event: "error", text: `the session does not answer: ${error.message}` });
      }
    },
    cancel(id) {
      post({ cancel: id });
    },
  };
}

// A recorded request answers all requests of its view that agree in the arguments that it names.
export function frozenTransport(recorded) {
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const agrees = (kept, asked) => Object.entries(kept).every(([name, value]) => same(value, asked[name]));
  return {
    live: false,
    send(request, take) {
      const kept = recorded.find(one => one.view === request.view && agrees(one.arguments, request.arguments));
      const replies = kept?.replies ?? [
        { event: "error", text: "this page holds what was computed when it was made, and this is not among it" },
      ];
      for (const reply of replies) queueMicrotask(() => take({ ...reply, id: request.id }));
    },
    cancel() {},
  };
}
