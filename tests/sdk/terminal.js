'use strict';
// One terminal: a process of its own with one published SDK in it, and this end of the line to it. Every SDK has the same
// verbs here: connect, disconnect, send, history. What its application was shown is in `shown`, its states in `states`.
const path = require('node:path');
const { fork } = require('node:child_process');
const { until } = require('./wait');

class Terminal {
  shown = [];
  states = [];
  /** Who else is told of both, as they come. */
  on = {};
  #calls = new Map();
  #last = 0;
  #child;
  #log = '';
  #ended;

  constructor(sdk, { navi, appKey, packages }) {
    this.#child = fork(path.join(__dirname, 'host.js'), [sdk.adapter, packages, navi, appKey], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', text => { this.#log = (this.#log + text).slice(-4000); });
    this.#child.on('message', message => this.#hear(message));
    this.#child.on('exit', () => this.#end());
  }

  #hear({ call, value, error, shown, state, code }) {
    if (shown) { this.on.shown?.(shown); return this.shown.push(shown); }
    if (state) { this.on.state?.(state, code); return this.states.push(state); }
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (error) waiting.reject(new Error(error)); else waiting.resolve(value);
  }

  #end() {
    this.#ended = new Error(`the SDK's process ended: ${this.#log}`);
    for (const waiting of this.#calls.values()) waiting.reject(this.#ended);
  }

  #call(verb, argument) {
    if (this.#ended) return Promise.reject(this.#ended);
    const call = ++this.#last;
    const answer = new Promise((resolve, reject) => this.#calls.set(call, { resolve, reject }));
    this.#child.send({ call, verb, argument });
    return answer;
  }

  /** Signs in; resolves to the user id. */
  connect(token) { return this.#call('connect', { token }); }
  disconnect() { return this.#call('disconnect'); }
  /** Sends a text; resolves to {uid, time} once it is acked. */
  send(conversation, text) { return this.#call('send', { ...conversation, text }); }
  /** A page of history, newest first. */
  history(conversation, count) { return this.#call('history', { ...conversation, count }); }
  /** Waits until the application was shown this message, and gives it. */
  sees(uid) { return until(`the terminal shows ${uid}`, () => this.shown.find(message => message.uid === uid)); }
  /** Waits until the SDK told its application of this state. */
  becomes(state) { return until(`the terminal is ${state}`, () => this.states.includes(state)); }
  stop() { this.#child.kill('SIGKILL'); }
}

module.exports = { Terminal };
