'use strict';
// Waiting for what must come, never for time to pass.

/** Resolves to the first true value of `look`, or throws after `ms` with what was waited for. */
async function until(what, look, ms = 10_000) {
  for (const end = Date.now() + ms; ;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain until ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

module.exports = { until };
