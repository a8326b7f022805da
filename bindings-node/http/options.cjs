'use strict';
// Limits as options give them: by name, in a list, or a LimitSet.

const { LimitSet } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { checkScope } = require('../lib/scope.cjs');
const { Limit } = require('./limit.cjs');

/** `{ name: settings }` or `[{ name, …settings }]` → pairs of name and settings. */
function entries(value, option) {
  if (value === undefined) return [];
  if (value === null || typeof value !== 'object') {
    throw check.typeError(`${option} must be an object of settings by name, or an array of settings with a name`);
  }
  const pairs = Array.isArray(value) ? value.map((one) => named(one, option)) : Object.entries(value);
  const names = new Set();
  for (const [name] of pairs) {
    if (typeof name !== 'string') throw check.typeError(`each of ${option} needs a name, got ${check.show(name)}`);
    if (names.has(name)) throw check.valueError(`${option}: the name '${name}' stands there twice`);
    names.add(name);
  }
  return pairs;
}

function named(settings, option) {
  if (settings === null || typeof settings !== 'object') {
    throw check.typeError(`each of ${option} must be an object of settings with a name, got ${check.show(settings)}`);
  }
  const { name, ...rest } = settings;
  return [name, rest];
}

/** One of `limits`: a rate or a limit that exists, or settings with a rate. */
function limitOf([name, value], place) {
  if (typeof value === 'object' && value !== null && typeof value.check !== 'function') {
    const { rate, ...options } = value;
    return Limit.all(rate, rate instanceof LimitSet ? options : { ...options, name }, place);
  }
  return Limit.all(value, value instanceof LimitSet ? {} : { name }, place);
}

/** The option `limits`; `place` is where those are made that say nothing of it. */
const limitsFrom = (value, place = {}) =>
  value instanceof LimitSet ? Limit.all(value) : entries(value, 'limits').flatMap((pair) => limitOf(pair, place));

/** `scope` and `onConflict` of an application, as far as it says them. */
function placeOf({ scope, onConflict }) {
  if (scope !== undefined) checkScope(scope);
  return { ...(scope === undefined ? {} : { scope }), ...(onConflict === undefined ? {} : { onConflict }) };
}

module.exports = { entries, limitsFrom, placeOf };
