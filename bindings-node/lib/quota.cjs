'use strict';
// What limits are made from, written into the block (src/quota.rs), and what they answer, read from it.

const { numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { SETTINGS, number, wrong } = require('./settings.cjs');

const QUOTA = ['rate', 'perMs', 'burst'];
const SWITCHES = ['enabled', 'dryRun', 'warmUp'];

/** A count of tokens; the check is written out because it stands on the hot path. */
function count(n) {
  return typeof n === 'number' && n >>> 0 === n ? n : check.whole(n, 'n');
}

/** Writes a quota into the block from number `at` on, and gives back a rate that is text, for the call's arguments. */
function writeQuota(settings, { rate, perMs, burst }, at = 0) {
  if (typeof rate === 'string') {
    if (perMs !== undefined) {
      throw check.valueError("perMs goes with a rate that is a number; a text such as '100/min' has its own period");
    }
  } else if (typeof rate === 'number') {
    numbers[at] = number(settings.rate, rate);
    numbers[at + 1] = perMs === undefined ? 1000 : number(settings.period, perMs);
  } else {
    throw wrong(settings.rate, rate);
  }
  numbers[at + 2] = number(settings.burst, burst);
  return rate;
}

/** A copy of a keyed limit's quota, given as an object or as its rate alone. */
function quotaOptions(value, where) {
  if (typeof value === 'string' || typeof value === 'number') return { rate: value };
  if (where === 'fastest' && (value === null || typeof value !== 'object'))
    throw wrong(SETTINGS.limiter.fastest, value);
  return check.options(value, where, [...QUOTA, 'queue']);
}

/** Writes `enabled` and `dryRun` from number `at` on. */
function writeMode({ enabled, dryRun }, at) {
  numbers[at] = enabled === undefined ? NaN : Number(check.bool(enabled, 'enabled'));
  numbers[at + 1] = dryRun === undefined ? 0 : Number(check.bool(dryRun, 'dryRun'));
}

/** A copy of `warmUp`. */
const warmUpOptions = (value) =>
  value === undefined ? undefined : check.options(value, 'warmUp', ['periodMs', 'from']);

/** Writes a copy of `warmUp` from number `at` on. */
function writeWarmUp(given, at) {
  if (given === undefined) {
    numbers[at] = NaN;
  } else {
    const { warm_up: period, warm_up_from: from } = SETTINGS.limiter;
    if (given.periodMs === undefined) throw wrong(period, undefined);
    numbers[at] = number(period, given.periodMs);
    numbers[at + 1] = number(from, given.from);
  }
}

/** The decision of the operation that has just run. */
function decision() {
  return {
    allowed: numbers[0] === 1,
    limit: numbers[1],
    remaining: numbers[2],
    retryAfterMs: numbers[3],
    resetAfterMs: numbers[4],
    delayMs: numbers[5],
  };
}

/** The quota that the operation has just told. */
const readQuota = () => ({ count: numbers[0], periodMs: numbers[1], burst: numbers[2] });

module.exports = {
  QUOTA,
  SWITCHES,
  count,
  decision,
  quotaOptions,
  readQuota,
  warmUpOptions,
  writeMode,
  writeQuota,
  writeWarmUp,
};
