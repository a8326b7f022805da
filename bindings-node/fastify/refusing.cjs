'use strict';
// How a refused request is answered, and an error told, whatever has become of its reply.

const { respond } = require('../http/middleware.cjs');
const { breakOff, isOver } = require('../http/over.cjs');
const { CONTENT_TYPE, problemOf } = require('../http/problem.cjs');
const { answerFor, answerLater, begun, unsendable, watch } = require('../http/refused.cjs');
const { asError, complain, isPromise } = require('../lib/promise.cjs');

function answer(reply, refusal) {
  const problem = problemOf(refusal);
  reply.code(problem.status).header('Content-Type', CONTENT_TYPE).send(JSON.stringify(problem));
}

const isAnswered = ({ sent, raw }) => sent || raw.headersSent || raw.writableEnded;

/** An answer that has ended, or that somebody has taken over, is theirs. */
const isTheirs = (reply) => reply.sent || reply.raw.writableEnded;

const placeOf = (request) => `${request.method} ${request.routeOptions.url ?? '*'}`;

/** Something has written behind Fastify's back, which can send no error then: logged, and the answer cut off. */
function cutOff(request, reply, error) {
  complain('the answer is cut off', error, placeOf(request));
  breakOff(reply.raw);
}

/** An error that comes when the answer has begun: nobody but the log can be told, and what has ended stays. */
function failLate(request, reply, error) {
  if (isTheirs(reply)) complain('failed after the answer had ended', error, placeOf(request));
  else cutOff(request, reply, error);
}

/** What `onRefused` returned, if it can be sent: Fastify would tell of what cannot with the refusal's status. */
function sendable(reply, value) {
  if (['bigint', 'function', 'symbol'].includes(typeof value)) throw unsendable(value);
  const prototype = Object(value) === value ? Object.getPrototypeOf(value) : undefined;
  if (prototype === null || prototype === Object.prototype || Array.isArray(value)) reply.serialize(value);
  return value;
}

/**
 * Lets the application answer as a handler does: by the reply, or by what it returns; the status is set, as the headers
 * are.
 */
function refuseBy(onRefused, request, reply, refusal, fail) {
  const { status } = problemOf(refusal);
  // An error does not answer with the refusal's status, nor with its wait.
  const unset = () => {
    if (!reply.raw.headersSent && reply.statusCode === status) reply.code(200).removeHeader('retry-after');
  };
  const failed = (thrown) => {
    hasFailed = true;
    unset();
    fail(asError(thrown));
  };
  // While hooks work on what is sent, nothing of the reply tells of it.
  let isSending = false;
  const { send } = reply;
  reply.send = (payload) => {
    isSending = true;
    // Before Fastify, which answers with the error then.
    if (typeof payload?.pipe === 'function') payload.on?.('error', unset);
    return send.call(reply, payload);
  };
  // Fastify would keep the status that is set.
  const { redirect } = reply;
  reply.redirect = (url, code = reply.statusCode === status ? 302 : reply.statusCode) =>
    redirect.call(reply, url, code);
  let hasFailed = false;
  const isDone = () => isSending || isAnswered(reply) || isOver(request.raw, reply.raw);
  const plainly = () => answer(reply, refusal);
  const finish = (value, isAsync) => {
    // A reply is the sign of an answer to come.
    if (isDone() || value === reply) return;
    if (value !== undefined) reply.send(sendable(reply, value));
    // A promise of nothing is to Fastify a handler that has forgotten to answer.
    else if (isAsync) answerFor('fastify', plainly);
    else answerLater('fastify', isDone, plainly);
  };
  // What hooks work on is in Fastify's hands until it has begun.
  const isLeft = () => hasFailed || (isSending && !reply.raw.headersSent);
  const instead = () => (reply.sent ? answerRaw(reply, refusal) : plainly());
  watch('fastify', request.raw, reply.raw, isLeft, instead);
  try {
    reply.code(status);
    const value = onRefused(request, reply, refusal);
    if (value === reply || !isPromise(value)) finish(value, false);
    else
      Promise.resolve(value)
        .then((later) => finish(later, true))
        .catch(failed);
  } catch (thrown) {
    failed(thrown);
  }
}

/** An answer that the application has taken over and left. */
function answerRaw(reply, refusal) {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value);
  respond(reply.raw, problemOf(refusal));
}

/** What ends a hook, once: `decided(refusal)`, `undefined` for none, or `failed(error)`. */
function enders(request, reply, onRefused, done) {
  const failed = (error) => (isAnswered(reply) ? failLate(request, reply, error) : done(error));
  const decided = (refusal) => {
    if (refusal === undefined) done();
    else if (isTheirs(reply)) return;
    else if (isAnswered(reply)) cutOff(request, reply, begun(refusal));
    else if (onRefused === undefined) answer(reply, refusal);
    else refuseBy(onRefused, request, reply, refusal, failed);
  };
  return { decided, failed };
}

module.exports = { enders };
