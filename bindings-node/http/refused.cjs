'use strict';
// What becomes of a refused request whose answer has begun, or that `onRefused` leaves without one.

const { Readable } = require('node:stream');
const { complain } = require('../lib/promise.cjs');
const { breakOff, isOver, whenOver } = require('./over.cjs');
const { problemOf } = require('./problem.cjs');

/**
 * How long `onRefused` may leave a request without an answer: after it has returned, and in any case, be it that its
 * promise hangs, or that it has begun an answer of which no more comes. Tests wait less.
 */
const patience = { graceMs: 1000, stallMs: 10_000 };

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
  setTimeout(() => isDone() || answerFor(framework, answer), patience.graceMs).unref?.();
}

/**
 * Sees to it that an answer which `onRefused` has not ended by now ends, for whoever is refused would hold a connection
 * for as long as they like. A client that reads slowly is the server's own matter. Called before `onRefused`.
 *
 * @param isLeft whether it is nobody's any more: handed on, or in the framework's hands
 * @param answer gives the plain refusal where nothing has begun
 */
function watch(framework, request, response, isLeft, answer) {
  if (isOver(request, response)) return;
  const channel = response.stream ?? response;
  const { write } = channel;
  let isAlive = false;
  let isPiped = false;
  channel.write = function (...given) {
    isAlive = true;
    return write.apply(this, given);
  };
  const piped = () => (isPiped = true);
  response.once('pipe', piped);
  const look = () => {
    if (response.writableEnded || isLeft()) return;
    if (isAlive || channel.writableNeedDrain) {
      isAlive = false;
      timer.refresh();
    } else if (response.headersSent) endFor(framework, response, isPiped);
    else answerFor(framework, answer);
  };
  const timer = setTimeout(look, patience.stallMs).unref();
  whenOver(request, response, () => clearTimeout(timer));
}

/** What cannot pass for a whole answer is cut off: it was to have a length, or its source has not come to an end. */
function endFor(framework, response, isPiped) {
  complain(`onRefused of tidegate/${framework}`, new Error('it began an answer and did not end it'));
  if (isPiped || response.hasHeader('Content-Length')) breakOff(response);
  else response.end();
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

/**
 * Sends what `onRefused` returned, as Fastify does: text and bytes as they are, streams and `Response`s by their parts,
 * all else as JSON. `failed` hears of a stream that fails before anything of it is out.
 */
function sendValue(response, value, failed) {
  if (typeof value?.pipe === 'function') return void sendStream(response, value, failed);
  if (value instanceof ReadableStream) return void sendStream(response, Readable.fromWeb(value), failed);
  if (value instanceof Response) {
    response.statusCode = value.status;
    value.headers.forEach((text, name) => response.setHeader(name, text));
    if (value.body === null) response.end();
    else sendStream(response, Readable.fromWeb(value.body), failed);
    return;
  }
  const [type, body] = bodyOf(value);
  if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', type);
  response.end(body);
}

function sendStream(response, stream, failed) {
  stream.on('error', (error) => {
    stream.unpipe?.(response);
    if (response.headersSent) breakOff(response);
    else failed(error);
  });
  response.once('close', () => stream.destroy?.());
  stream.pipe(response);
}

const unsendable = (value) => new TypeError(`what onRefused returns is sent, and must not be a ${typeof value}`);

function bodyOf(value) {
  if (typeof value === 'string') return ['text/plain; charset=utf-8', value];
  if (value instanceof Uint8Array) return ['application/octet-stream', value];
  const json = JSON.stringify(value);
  if (json === undefined) throw unsendable(value);
  return ['application/json; charset=utf-8', json];
}

module.exports = { answerFor, answerLater, begun, patience, sendValue, silence, unsendable, watch };
