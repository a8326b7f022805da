'use strict';
// What the application's functions give: values or promises, errors or anything else that can be thrown.

const { types } = require('node:util');
const check = require('./check.cjs');

const isPromise = (value) => typeof value?.then === 'function';

/** `then(value)` at once, or once a promise has come true: what is sync stays sync. */
const whenReady = (value, then) => (isPromise(value) ? Promise.resolve(value).then(then) : then(value));

/** For promises that nobody waits for any more: a rejection that nobody takes ends the process. */
function abandon(values) {
  for (const value of values) {
    try {
      if (isPromise(value)) Promise.resolve(value).then(undefined, () => {});
    } catch {
      // A `then` that cannot be read is no promise, and the others stand behind it.
    }
  }
}

/** What `ask` gives for each; where it throws for one, the promises of those before it are abandoned. */
function askEach(items, ask) {
  const asked = [];
  try {
    for (const item of items) asked.push(ask(item));
    return asked;
  } catch (error) {
    abandon(asked);
    throw error;
  }
}

function isError(thrown) {
  try {
    return types.isNativeError(thrown) || thrown instanceof Error;
  } catch {
    // A Proxy that is none.
    return false;
  }
}

/**
 * What was thrown as an Error: a framework takes `undefined` for no error at all, and Express takes 'route' for "the
 * next route, please"; either would let a request pass.
 */
function asError(thrown) {
  if (isError(thrown)) return thrown;
  return new Error(`what a request's functions throw must be an Error, got ${check.show(thrown)}`, { cause: thrown });
}

/** What a predicate threw that was asked about `error`: a caller finds both. */
function thrownAfter(error, thrown) {
  const isNew = error !== undefined && thrown !== error;
  if (isNew && types.isNativeError(thrown) && thrown.cause === undefined && Object.isExtensible(thrown)) {
    Object.defineProperty(thrown, 'cause', { value: error, configurable: true, writable: true });
  }
  return thrown;
}

/** Message and stack as texts: whoever complains is called where anything thrown would end the process. */
function told(error) {
  try {
    return [String(error.message), String(error.stack)];
  } catch {
    return ['its error cannot be shown', undefined];
  }
}

/**
 * Says once what no framework can be told any more, because the answer is out. `where` it first happened tells no two
 * apart: a client chooses it.
 */
const complaints = new Set();
const MOST_COMPLAINTS = 100;
function complain(what, thrown, where = undefined) {
  const [message, stack] = told(asError(thrown));
  const text = `${what}: ${message}`;
  if (complaints.has(text) || complaints.size >= MOST_COMPLAINTS) return;
  complaints.add(text);
  const said = where === undefined ? text : `${where}: ${text}`;
  process.emitWarning(said, { type: 'TidegateWarning', detail: stack });
}

module.exports = { abandon, asError, askEach, complain, isPromise, thrownAfter, whenReady };
