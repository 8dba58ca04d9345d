'use strict';
// The process around one SDK: loads its adapter, does what the suite asks, reports what the SDK shows.
const path = require('node:path');
const { createRequire } = require('node:module');
const { pretendToBeABrowser } = require('./browser');

const [adapter, packages, navi, appKey] = process.argv.slice(2);
const load = createRequire(path.join(packages, 'package.json'));
pretendToBeABrowser(load('ws'));

const report = {
  shown: message => process.send({ shown: message }),
  state: (state, code) => process.send({ state, code }),
};
const verbs = require(path.join(__dirname, 'adapters', `${adapter}.js`))({ load, navi, appKey, report });

process.on('message', async ({ call, verb, argument }) => {
  try {
    process.send({ call, value: await verbs[verb](argument) ?? null });
  } catch (error) {
    process.send({ call, error: `${verb}: ${error?.stack ?? JSON.stringify(error)}` });
  }
});
process.on('disconnect', () => process.exit());
