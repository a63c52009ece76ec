/* Search in a page opened from a disk: browsers refuse to start a worker from a file, so a hidden frame does its work.
   Over http the browser's own Worker stays. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      document.body.append(frame);
      const scope = frame.contentWindow;
      const tell = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      scope.postMessage = (data) => setTimeout(() => tell(data));
      scope.importScripts = (...urls) => Promise.all(urls.map((one) => this.load(scope, new URL(one, url).href)));
      this.ready = this.load(scope, String(url));
      this.scope = scope;
      this.frame = frame;
    }

    load(scope, url) {
      return new Promise((resolve, reject) => {
        const script = scope.document.createElement("script");
        script.src = url;
        script.onload = resolve;
        script.onerror = () => reject(new Error(`cannot load ${url}`));
        scope.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.scope.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
