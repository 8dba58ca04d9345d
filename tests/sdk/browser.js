'use strict';
// What a browser offers and Node does not, as far as the SDKs use it. Reaches nothing but this machine: an SDK that calls
// home gets what an unplugged cable gives.
const http = require('node:http');

/** Web storage: text by text, also readable as properties. */
class MemoryStorage {
  #entries = new Map();
  get length() { return this.#entries.size; }
  key(index) { return [...this.#entries.keys()][index] ?? null; }
  getItem(name) { return this.#entries.get(String(name)) ?? null; }
  setItem(name, text) { this.#entries.set(String(name), String(text)); this[name] = String(text); }
  removeItem(name) { this.#entries.delete(String(name)); delete this[name]; }
  clear() { for (const name of [...this.#entries.keys()]) this.removeItem(name); }
}

/** XMLHttpRequest for text, without events of progress. */
class LocalRequest {
  readyState = 0; status = 0; responseText = ''; response = ''; responseType = ''; timeout = 0; withCredentials = false;
  #method; #url; #headers = {}; #request; #over = false;

  open(method, url) { this.#method = method; this.#url = new URL(url, 'http://127.0.0.1/'); this.readyState = 1; }
  setRequestHeader(name, text) { this.#headers[name] = text; }
  getResponseHeader() { return null; }
  getAllResponseHeaders() { return ''; }
  abort() { this.#over = true; this.#request?.destroy(); }

  send(body) {
    const hasBody = body != null && this.#method !== 'GET';
    if (this.#url.protocol !== 'http:' || this.#url.hostname !== '127.0.0.1') return void setImmediate(() => this.#end(0, ''));
    const headers = hasBody ? { 'content-type': 'text/plain;charset=UTF-8', ...this.#headers } : this.#headers;
    this.#request = http.request(this.#url, { method: this.#method, headers }, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('end', () => this.#end(answer.statusCode, Buffer.concat(parts).toString()));
    });
    this.#request.on('error', () => this.#end(0, ''));
    if (this.timeout) this.#request.setTimeout(this.timeout, () => this.#request.destroy());
    this.#request.end(hasBody ? String(body) : undefined);
  }

  #end(status, text) {
    if (this.#over) return;
    this.#over = true;
    Object.assign(this, { status, responseText: text, response: text, readyState: 4 });
    this.onreadystatechange?.();
    if (status) this.onload?.({ target: this }); else this.onerror?.(new Error('no answer'));
    this.onloadend?.();
  }
}

/** Puts all that into the global object. `WebSocket` comes from a package, because Node 20 has none. */
function pretendToBeABrowser(WebSocket) {
  // A browser hands over one message per task; some SDKs rely on that.
  class BrowserSocket extends WebSocket {
    constructor(url, protocols) { super(url, protocols, { allowSynchronousEvents: false }); }
  }
  const nothing = () => {};
  const element = () => ({ style: {}, setAttribute: nothing, appendChild: nothing });
  const globals = {
    window: globalThis,
    self: globalThis,
    localStorage: new MemoryStorage(),
    sessionStorage: new MemoryStorage(),
    navigator: { userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36', platform: 'Linux x86_64', language: 'en', onLine: true },
    location: { protocol: 'http:', host: '127.0.0.1', hostname: '127.0.0.1', href: 'http://127.0.0.1/' },
    document: { cookie: '', visibilityState: 'visible', body: element(), createElement: element, addEventListener: nothing },
    addEventListener: nothing,
    removeEventListener: nothing,
    dispatchEvent: () => true,
    XMLHttpRequest: LocalRequest,
    WebSocket: BrowserSocket,
  };
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

module.exports = { pretendToBeABrowser };
