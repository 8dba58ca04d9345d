'use strict';
// Published SDKs against a server that this file starts:  ANSER=<server> SDK_PACKAGES=<folder> node run.js [SDK] [SCENARIO]
// With NAVI, APP_KEY and APP_SECRET it uses a server that runs already. Prints TAP and ends with `N passed, N failed`.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { Backend } = require('./backend');
const { Terminal } = require('./terminal');
const { until } = require('./wait');
const scenarios = require('./scenarios');

const SDKS = [
  { name: 'imlib-v2 2.9.2', adapter: 'v2' },
  { name: 'imlib-v4 4.6.4', adapter: 'v4' },
  { name: 'imlib-next 5.38.0', adapter: 'next' },
];

/** Starts a server on free ports with an empty data folder; resolves to where it is and how to end it. */
async function startServer() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'anser-sdk-'));
  const readyFile = path.join(folder, 'ready.json');
  const any = '127.0.0.1:0';
  const child = spawn(process.env.ANSER, ['serve', '--data', path.join(folder, 'data'), '--http', any, '--tcp', any, '--ws', any, '--ready-file', readyFile], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise(resolve => child.on('exit', resolve));
  await until('the server is ready', () => { if (child.exitCode !== null) throw new Error('the server ended'); return fs.existsSync(readyFile); });
  const ready = JSON.parse(fs.readFileSync(readyFile));
  const stop = async () => { child.kill('SIGTERM'); await ended; fs.rmSync(folder, { recursive: true, force: true }); };
  return { navi: `http://${ready.http}`, appKey: ready.app_key, appSecret: fs.readFileSync(ready.app_secret_file, 'utf8'), stop };
}

function runningServer({ NAVI, APP_KEY, APP_SECRET }) {
  return { navi: NAVI, appKey: APP_KEY, appSecret: APP_SECRET, stop: async () => {} };
}

/** What a scenario works with: one SDK, fresh users, terminals that end with it. */
class Stage {
  #terminals = [];
  constructor(server, sdk, number) { Object.assign(this, { server, sdk, number, until, backend: new Backend({ ...server, api: server.navi }) }); }
  id(name) { return `${name}-${this.number}-${Date.now().toString(36)}`; }
  terminal() {
    const terminal = new Terminal(this.sdk, { ...this.server, packages: path.resolve(process.env.SDK_PACKAGES) });
    this.#terminals.push(terminal);
    return terminal;
  }
  async online(user) {
    const terminal = this.terminal();
    await terminal.connect(await this.backend.token(user));
    return terminal;
  }
  end() { for (const terminal of this.#terminals) terminal.stop(); }
}

async function play(server, sdk, name, number) {
  const stage = new Stage(server, sdk, number);
  try {
    await scenarios[name](stage);
    console.log(`ok ${number} - ${sdk.name}: ${name}`);
    return true;
  } catch (error) {
    console.log(`not ok ${number} - ${sdk.name}: ${name}`);
    for (const line of String(error.stack).split('\n')) console.log(`# ${line}`);
    return false;
  } finally {
    stage.end();
  }
}

async function main() {
  const [onlySdk = '', onlyScenario = ''] = process.argv.slice(2);
  const server = process.env.NAVI ? runningServer(process.env) : await startServer();
  const results = [];
  try {
    for (const sdk of SDKS.filter(sdk => sdk.name.includes(onlySdk))) {
      for (const name of Object.keys(scenarios).filter(name => name.includes(onlyScenario))) results.push(await play(server, sdk, name, results.length + 1));
    }
  } finally {
    await server.stop();
  }
  console.log(`1..${results.length}`);
  console.log(`${results.filter(Boolean).length} passed, ${results.filter(result => !result).length} failed`);
  process.exitCode = results.length && results.every(Boolean) ? 0 : 1;
}

main().catch(error => { console.error(error); process.exit(1); });
