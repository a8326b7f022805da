'use strict';
// Which errors are worth another attempt, and what they tell about when.

const { answerOf, askedMs, isAnswered, isCancelled, isFailedBy, isMistaken, quietly } = require('./classify.cjs');
const { CircuitOpenError, RetryBudgetExceededError, ThrottledError, isRefusal } = require('./errors.cjs');
const { members } = require('./group.cjs');

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
 * known; not another status, not an answer to this program's own client, not tidegate's own refusals, not what a
 * program's mistake looks like. Of a group where all of its members are: what the others fail by will come again.
 */
const isTransient = (error) => members(error).every(isOneTransient);

function isOneTransient(error) {
  if ([isCancelled, isRefusal, isMistaken, isAnswered].some((fits) => fits(error))) return false;
  const answer = answerOf(error);
  if (answer !== undefined) return isFailedBy(error, answer);
  // What fetch throws for a lost connection is a TypeError with the reason as its cause.
  const isLost = () => error.name === 'TypeError' && error.cause instanceof Error;
  return quietly(() => !MISTAKES.has(error?.name) || isLost(), true);
}

const NEVER = [CircuitOpenError, RetryBudgetExceededError, ThrottledError];
const isNever = (error) => NEVER.some((kind) => error instanceof kind) || isCancelled(error) || isMistaken(error);

/**
 * Whether another attempt may follow: true, false, or what a Classifier in the filter says. One member of a group that
 * forbids it is enough.
 */
function isRetried(filter, error) {
  if (members(error).some(isNever)) return false;
  return filter === undefined ? isTransient(error) : filter(error);
}

/**
 * Milliseconds, at most `mostMs`, until the server, or another part of this program, wants the next call; undefined:
 * nothing was said, or nonsense. Of a group it is the longest. `nowMs` is the time of day, for tests.
 */
function retryAfterMs(error, mostMs, nowMs = undefined) {
  const waits = members(error).map((one) => oneRetryAfterMs(one, mostMs, nowMs));
  return waits.reduce((longest, wait) => (wait === undefined || wait < longest ? longest : wait), undefined);
}

function oneRetryAfterMs(error, mostMs, nowMs) {
  return quietly(() => {
    const own = error?.retryAfterMs;
    if (typeof own === 'number') return Number.isNaN(own) ? undefined : Math.max(0, Math.min(own, mostMs));
    const answer = answerOf(error);
    return answer === undefined ? undefined : askedMs(answer, mostMs, nowMs);
  }, undefined);
}

module.exports = { isMistaken, isRetried, isTransient, retryAfterMs };
