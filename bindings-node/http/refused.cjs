'use strict';
// What becomes of a refused request whose answer has begun, or that `onRefused` leaves without one.

const { complain } = require('../lib/promise.cjs');
const { problemOf } = require('./problem.cjs');

/** How long `onRefused` may leave a request without an answer after it has returned. */
const GRACE_MS = 1000;

/** The error of a refusal that comes too late to be told: earlier code has sent the headers. */
function begun(refusal) {
  const { status } = problemOf(refusal);
  const error = new Error(
    `the request is refused (${status}), but its answer has begun; put the limits in front of what writes`,
  );
  return Object.assign(error, { status, statusCode: status });
}

/** Gives the plain refusal in the place of an `onRefused` that has forgotten to answer; the log has that once. */
function answerFor(framework, answer) {
  complain(`onRefused of tidegate/${framework}`, new Error('it neither sent nor returned an answer'));
  answer();
}

/** As `answerFor`, for an `onRefused` that may still answer from a callback (a file, a template): nothing tells. */
function answerLater(framework, isDone, answer) {
  setTimeout(() => isDone() || answerFor(framework, answer), GRACE_MS).unref?.();
}

const SPEAKS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead', 'write', 'end'];

/**
 * Once the answer is out, what the application still says has no effect: Node would throw, in a callback that expects
 * nothing of the kind, and end the process. Not earlier: middleware may hold back the end of an answer.
 */
function silence(response) {
  response.once('finish', () => {
    for (const name of SPEAKS) response[name] = () => response;
  });
}

/** Sends what `onRefused` returned, as Fastify does: text and bytes as they are, all else as JSON. */
function sendValue(response, value) {
  const [type, body] = bodyOf(value);
  if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', type);
  response.end(body);
}

const unsendable = (value) => new TypeError(`what onRefused returns is sent, and must not be a ${typeof value}`);

function bodyOf(value) {
  if (typeof value === 'string') return ['text/plain; charset=utf-8', value];
  if (value instanceof Uint8Array) return ['application/octet-stream', value];
  const json = JSON.stringify(value);
  if (json === undefined) throw unsendable(value);
  return ['application/json; charset=utf-8', json];
}

module.exports = { answerFor, answerLater, begun, sendValue, silence, unsendable };
