'use strict';
// Which errors are worth another attempt, and what they tell about when.

const { answerOf, askedMs, isCancelled, isFailed, matches, quietly } = require('./classify.cjs');
const { CircuitOpenError, RetryBudgetExceededError, ThrottledError, isRefusal } = require('./errors.cjs');

/** Errors by which Node and this package say that an argument was wrong. */
const WRONG_ARGUMENT = /^ERR_(INVALID_ARG|OUT_OF_RANGE|MISSING_ARGS)/;
const isMistaken = (error) => quietly(() => matches(WRONG_ARGUMENT, error?.code), false);
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

/**
 * Whether the dependency failed: an HTTP status of 429 or from 500 on, a timeout, a lost connection, and what is not
 * known; not another status, not tidegate's own refusals, not what a program's mistake looks like.
 */
function isTransient(error) {
  if (isCancelled(error) || isRefusal(error) || isMistaken(error)) return false;
  const answer = answerOf(error);
  if (answer !== undefined) return isFailed(answer);
  // What fetch throws for a lost connection is a TypeError with the reason as its cause.
  const isLost = () => error.name === 'TypeError' && error.cause instanceof Error;
  return quietly(() => !MISTAKES.has(error?.name) || isLost(), true);
}

/** Whether another attempt may follow: true, false, or what a Classifier in the filter says. */
function isRetried(filter, error) {
  const isRefused =
    error instanceof CircuitOpenError || error instanceof RetryBudgetExceededError || error instanceof ThrottledError;
  if (isRefused || isCancelled(error) || isMistaken(error)) return false;
  return filter === undefined ? isTransient(error) : filter(error);
}

/**
 * Milliseconds, at most `mostMs`, until the server, or another part of this program, wants the next call; undefined:
 * nothing was said, or nonsense. `nowMs` is the time of day, for tests.
 */
function retryAfterMs(error, mostMs, nowMs = undefined) {
  return quietly(() => {
    const own = error?.retryAfterMs;
    if (typeof own === 'number') return Number.isNaN(own) ? undefined : Math.max(0, Math.min(own, mostMs));
    const answer = answerOf(error);
    return answer === undefined ? undefined : askedMs(answer, mostMs, nowMs);
  }, undefined);
}

module.exports = { isMistaken, isRetried, isTransient, retryAfterMs };
