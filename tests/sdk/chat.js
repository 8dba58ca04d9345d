'use strict';
// One published SDK as a user of a run that is not a suite: what it is to do comes in as lines of JSON, and what it does, and
// shows its application, goes out so:  NAVI=… APP_KEY=… SDK_PACKAGES=<folder> node chat.js ADAPTER
const path = require('node:path');
const { createInterface } = require('node:readline');
const { Terminal } = require('./terminal');

const { NAVI: navi, APP_KEY: appKey, SDK_PACKAGES } = process.env;
const terminal = new Terminal({ adapter: process.argv[2] }, { navi, appKey, packages: path.resolve(SDK_PACKAGES) });
const say = line => process.stdout.write(`${JSON.stringify(line)}\n`);

terminal.on = { shown: shown => say({ shown }), state: (state, code) => say({ state, code }) };
createInterface({ input: process.stdin }).on('line', async line => {
  const { verb, ticket, ...what } = JSON.parse(line);
  try {
    const value = verb === 'connect' ? await terminal.connect(what.token) : await terminal.send(what, what.text);
    say(verb === 'connect' ? { connected: value } : { acked: { ticket, ...value } });
  } catch (error) {
    say({ failed: { ticket, why: String(error.message) } });
  }
}).on('close', () => { terminal.stop(); process.exit(); });
