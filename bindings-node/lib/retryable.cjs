'use strict';
// Which errors are worth another attempt, and what they tell about when.

const { errorMatcher, isClassifier } = require('./classify.cjs');
const { CircuitOpenError, RetryBudgetExceededError, TidegateError, ThrottledError } = require('./errors.cjs');

/**
 * "Which errors": a class, a predicate, an array of either, or a Classifier by which the call failed → one predicate.
 */
function filterOf(value, name) {
  if (!isClassifier(value)) return errorMatcher(value, name);
  return (error) => ['failure', 'unreached'].includes(value.error(error).outcome);
}

/** Errors by which Node and this package say that an argument was wrong. */
const WRONG_ARGUMENT = /^ERR_(INVALID_ARG|OUT_OF_RANGE|MISSING_ARGS)/;
/** The same call will fail again: a mistake of the program, not of the moment. */
const MISTAKES = new Set([
  'AssertionError',
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'TypeError',
  'URIError',
]);

const isCancelled = (error) => error?.name === 'AbortError';

/** The HTTP status of an error of axios, got, undici, superagent and their like, or of a fetch Response. */
function statusOf(error) {
  for (const owner of [error, error?.response]) {
    for (const status of [owner?.status, owner?.statusCode]) {
      if (Number.isInteger(status) && status >= 100 && status <= 599) return status;
    }
  }
  return undefined;
}

/**
 * Whether the dependency failed: an HTTP status of 429 or from 500 on, a timeout, a lost connection, and what is not
 * known; not another status, not tidegate's own refusals, not what a program's mistake looks like.
 */
function isTransient(error) {
  if (isCancelled(error) || error instanceof TidegateError || WRONG_ARGUMENT.test(error?.code)) return false;
  const status = statusOf(error);
  if (status !== undefined) return status === 429 || status >= 500;
  // What fetch throws for a lost connection is a TypeError with the reason as its cause.
  return !MISTAKES.has(error?.name) || (error.name === 'TypeError' && error.cause instanceof Error);
}

/** Whether another attempt may follow. */
function isRetried(filter, error) {
  const isRefused =
    error instanceof CircuitOpenError || error instanceof RetryBudgetExceededError || error instanceof ThrottledError;
  if (isRefused || isCancelled(error) || WRONG_ARGUMENT.test(error?.code)) return false;
  return filter === undefined ? isTransient(error) : filter(error);
}

/** No server means a longer time; the core takes none. */
const LONGEST_MS = 1e13;

const milliseconds = (value, unit) => {
  if ((typeof value !== 'number' && typeof value !== 'string') || value === '') return undefined;
  const ms = Number(value) * unit;
  return ms >= 0 ? Math.min(ms, LONGEST_MS) : undefined;
};

function header(headers, name) {
  if (typeof headers?.get === 'function') return headers.get(name) ?? undefined;
  return headers?.[name] ?? headers?.[name.toLowerCase()];
}

/** Retry-After-Ms or Retry-After (seconds, HTTP-date); undefined where there is none, or nonsense in it. */
function told(headers) {
  const inMs = milliseconds(header(headers, 'Retry-After-Ms'), 1);
  if (inMs !== undefined) return inMs;
  const value = header(headers, 'Retry-After');
  const inSeconds = milliseconds(value, 1000);
  if (inSeconds !== undefined) return inSeconds;
  // Date.parse makes a year of "-5" and of other numbers.
  if (typeof value !== 'string' || !/^[A-Za-z]/.test(value)) return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** Milliseconds until the server, or another part of this program, wants the next call; undefined: nothing was said. */
function retryAfterMs(error) {
  if (error === null || typeof error !== 'object') return undefined;
  try {
    if (typeof error.retryAfterMs === 'number') {
      return Number.isNaN(error.retryAfterMs) ? undefined : Math.min(Math.max(0, error.retryAfterMs), LONGEST_MS);
    }
    return told(error.headers) ?? told(error.response?.headers);
  } catch {
    // Whatever a getter does: it tells nothing.
    return undefined;
  }
}

module.exports = { filterOf, isCancelled, isRetried, isTransient, retryAfterMs };
