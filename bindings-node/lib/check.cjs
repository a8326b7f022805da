'use strict';
// Wrong arguments: a TypeError or RangeError with one of Node's own codes, saying what is allowed.

const { inspect } = require('node:util');

/**
 * Errors are logged. So a text must not depend on what the value does when it is looked at, and of an object it tells
 * the kind alone: what a request's functions return may be a user's whole record.
 */
const SHOWN = { depth: -1, customInspect: false, breakLength: Infinity, maxStringLength: 100 };
function show(value) {
  try {
    return inspect(value, SHOWN);
  } catch {
    return `a ${typeof value} that cannot be shown`;
  }
}

const typeError = (message) => Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
const rangeError = (message) => Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
/** A value of the right type that is not one of those allowed, or does not go with another. */
const valueError = (message) => Object.assign(new RangeError(message), { code: 'ERR_INVALID_ARG_VALUE' });

/** `this` is not what the method belongs to. */
function detached(type, method) {
  return typeError(
    `${type}.prototype.${method} was called without its ${type}: call it as object.${method}(…), ` +
      `or pass (…args) => object.${method}(…args)`,
  );
}

function number(value, name, allowed) {
  if (typeof value !== 'number') throw typeError(`${name} must be a number (${allowed}), got ${show(value)}`);
  return value;
}

function bool(value, name) {
  if (typeof value !== 'boolean') throw typeError(`${name} must be true or false, got ${show(value)}`);
  return value;
}

/**
 * What a condition of a request says: only `true` is yes, and nothing (undefined, null) is no. What is merely truthy,
 * such as 'no', would switch a limit off.
 */
function holds(value, name) {
  if (value === true || value === false) return value;
  if (value !== undefined && value !== null) throw typeError(`${name} must give true or false, got ${show(value)}`);
  return false;
}

function text(value, name) {
  if (typeof value !== 'string') throw typeError(`${name} must be a text, got ${show(value)}`);
  return value;
}

/** Whole number min..max. */
function whole(value, name, min = 0, max = 0xffff_ffff) {
  const allowed = `a whole number from ${min} to ${max}`;
  number(value, name, allowed);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw rangeError(`${name} must be ${allowed}, got ${value}`);
  }
  return value;
}

/** A number of 0 to 1. */
function fraction(value, name) {
  const allowed = 'a number from 0 to 1';
  number(value, name, allowed);
  if (!(value >= 0 && value <= 1)) throw rangeError(`${name} must be ${allowed}, got ${value}`);
  return value;
}

/** The longest time the core can express in nanoseconds: 2^64 of them. */
const LONGEST_MS = 1.8e13;

/** A finite span of time in milliseconds. */
function span(value, name) {
  const allowed = `milliseconds from 0 to ${LONGEST_MS}`;
  number(value, name, allowed);
  if (!(value >= 0 && value <= LONGEST_MS)) throw rangeError(`${name} must be ${allowed}, got ${value}`);
  return value;
}

/** How long something lasts that has to last: a window, a block. */
function period(value, name) {
  const allowed = `milliseconds above 0, up to ${LONGEST_MS}`;
  number(value, name, allowed);
  if (!(value > 0 && value <= LONGEST_MS)) throw rangeError(`${name} must be ${allowed}, got ${value}`);
  return value;
}

/** A longest wait in milliseconds: undefined and Infinity are "as long as it takes", given back as Infinity. */
function patience(value, name) {
  if (value === undefined || value === Infinity) return Infinity;
  const allowed = 'milliseconds from 0, or Infinity';
  number(value, name, allowed);
  if (!(value >= 0)) throw rangeError(`${name} must be ${allowed}, got ${value}`);
  return Math.min(value, LONGEST_MS);
}

/** How long something may last at most; Infinity: as long as it takes. */
function limit(value, name) {
  if (value === Infinity) return Infinity;
  const allowed = 'milliseconds above 0, or Infinity';
  number(value, name, allowed);
  if (!(value > 0)) throw rangeError(`${name} must be ${allowed}, got ${value}`);
  return Math.min(value, LONGEST_MS);
}

/**
 * A copy of an options object, which must have no key but the known ones: a misspelt option must not pass in silence.
 * A copy, because a getter runs the caller's code, and none may run once the shared block is being written.
 */
function options(value, where, known) {
  if (value === null || typeof value !== 'object') {
    throw typeError(`${where} takes an object of options (${known.join(', ')}), got ${show(value)}`);
  }
  const copy = { ...value };
  for (const key of Object.keys(copy)) {
    if (!known.includes(key)) {
      throw valueError(`${where} has no option '${key}'; it takes ${known.join(', ')}`);
    }
  }
  return copy;
}

/** An AbortSignal, or undefined. */
function signalOf(value, where) {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw typeError(`${where}: signal must be an AbortSignal, got ${show(value)}`);
}

/**
 * `{ timeoutMs, signal }` of a waiting form, and options of its own; `unsaid` is the longest wait where nothing is said
 * of it.
 */
function waiting(value, where, unsaid = Infinity, own = []) {
  if (value === undefined) return { timeoutMs: unsaid, signal: undefined };
  const { timeoutMs, signal, ...rest } = options(value, where, ['timeoutMs', 'signal', ...own]);
  signalOf(signal, where);
  return { ...rest, timeoutMs: timeoutMs === undefined ? unsaid : patience(timeoutMs, 'timeoutMs'), signal };
}

function callable(value, name) {
  if (typeof value !== 'function') throw typeError(`${name} must be a function, got ${show(value)}`);
  return value;
}

module.exports = {
  bool,
  callable,
  detached,
  fraction,
  holds,
  limit,
  options,
  patience,
  period,
  rangeError,
  show,
  signal: signalOf,
  span,
  text,
  typeError,
  valueError,
  waiting,
  whole,
};
