'use strict';
// Who has which name in the named scopes of this process.
//
// In a named scope one name is one object. Two declarations of one name with different settings would be one limit
// with the settings of one of them, whatever `onConflict` says: either the strict one is gone or all others are as
// strict. So a name's first declaration stands as long as anybody holds it, and one with other settings fails before
// it has changed anything. The same settings again are the same object: two applications of one process may mean that.

const { inspect } = require('node:util');
const { SETTINGS } = require('../lib/settings.cjs');
const check = require('../lib/check.cjs');
const { isOpen, scopeKey } = require('../lib/scope.cjs');

/** In the options of what is declared: `{ holder, where }`, for whom it is, and where that stands in the program. */
const DECLARED_BY = Symbol('tidegate.declaredBy');

/** What middleware declares that no application answers for is held for as long as the process lives. */
const PROCESS = {};

/** By place and name: `{ settings, said, holders }`. */
const claims = new Map();

/** What each object has of its own: two that differ in these alone are one. */
const OWN = ['scope', 'name', 'onConflict', 'clock', 'enabled', 'dryRun', 'hugePages', 'tiers', 'maxWaitMs', 'order'];

const asText = (value) => inspect(value, { depth: 4, sorted: true, breakLength: Infinity, compact: true });

const shared = (options) =>
  Object.fromEntries(Object.entries(options).filter(([name, value]) => value !== undefined && !OWN.includes(name)));

/**
 * Settings as a text, the same for all ways to write them.
 *
 * @param quota gives a rate in its parts, `{ count, periodMs, burst }`, where it can be read
 */
function settingsOf(what, options, quota) {
  const { rate, perMs, burst, queue, algorithm, maxKeys, ...rest } = shared(options);
  if (what !== 'limit') return `${what} ${asText(shared(options))}`;
  const { algorithm: usual, max_keys: most } = SETTINGS.limiter;
  const kind = { algorithm: algorithm ?? usual.default, maxKeys: maxKeys ?? most.default };
  return `${what} ${asText({ ...(quota?.() ?? { rate, perMs, burst, queue }), ...kind, ...rest })}`;
}

/**
 * Claims the name of `options` before its object is made.
 *
 * @param told `{ quota, isKeyed, from }`: `from` is the name that this one is made of
 * @returns {{ said: string, isForeign: boolean, undo: () => void }} `isForeign`: an object of the name is there that
 *   nobody has declared here, but made by itself
 */
function claim(what, options, told = {}) {
  const { [DECLARED_BY]: { holder = PROCESS, where } = {}, scope, name } = options;
  const { quota, isKeyed = false, from } = told;
  const key = `${scopeKey(scope)}\0${name}`;
  const settings = `${settingsOf(what, options, quota)} ${isKeyed} ${from ?? ''}`;
  const before = claims.get(key);
  const said = `the ${what} ${asText(shared(options))}${isKeyed ? ' per key' : ''}${partOf(name, from)}${at(where)}`;
  if (before !== undefined && before.settings !== settings) throw taken(options, before.said, said);
  const entry = before ?? { settings, said, holders: new Set() };
  claims.set(key, entry);
  const isNew = !entry.holders.has(holder);
  entry.holders.add(holder);
  const undo = () => {
    if (isNew) leave(key, entry, holder);
  };
  return { said, isForeign: before === undefined && isOpen(scope, name), undo };
}

const partOf = (name, from) => (from === undefined || from === name ? '' : `, made of the name '${from}'`);
const at = (where) => (where === undefined ? '' : ` (${where})`);

/** A second declaration of a name. */
function taken({ scope, name }, first, second) {
  const [place] = scopeKey(scope).split('\0');
  return check.valueError(
    `name: in ${place} '${name}' is ${first} already, and one name is one object there; ` +
      `give ${second} another name, or the same settings where the two are to count together`,
  );
}

function leave(key, entry, holder) {
  entry.holders.delete(holder);
  if (entry.holders.size === 0) claims.delete(key);
}

/** An application ends: what it alone has declared may be declared otherwise. */
function release(holder) {
  for (const [key, entry] of claims) if (entry.holders.has(holder)) leave(key, entry, holder);
}

/** For tests of what another process does: nothing is declared here. */
function forget() {
  claims.clear();
}

module.exports = { DECLARED_BY, claim, forget, release, taken };
