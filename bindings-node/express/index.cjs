'use strict';
// Middleware for Express and everything that calls (request, response, next): Connect, Polka, Node's own http.

const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { HttpLimiter, Plan, ask, readGate, readRateLimit, refuse, respond } = require('../http/middleware.cjs');
const { breakOff, isOver } = require('../http/over.cjs');
const { failed, problemOf } = require('../http/problem.cjs');
const { answerLater, begun, sendValue, silence, watch } = require('../http/refused.cjs');
const { pathOf } = require('../http/spelling.cjs');
const { asError, complain, isPromise } = require('../lib/promise.cjs');

const rateLimit = (options) => middleware(readRateLimit(options));

const admit = (gate, options = {}) => middleware(readGate(gate, options, 'admit'));

function middleware({ limiter: settings, limits, entrance, isExempt, onRefused }) {
  const limiter = new HttpLimiter(settings);
  const plan = new Plan(limits);

  return function tidegate(request, response, next) {
    const go = handOver(next, request, response);
    if (isExempt(request)) return void go();
    const exchange = limiter.exchange(request, response, response);
    const decided = (refusal) => {
      if (refusal === undefined) go();
      else if (exchange.answered) tooLate(response, go, refusal);
      else if (onRefused === undefined) refuse(exchange, refusal);
      else refuseBy(onRefused, exchange, go, refusal);
    };
    ask(limiter, plan, exchange, entrance, decided, go);
    return undefined;
  };
}

/** For the log: without the query, which may hold what nobody else may know, and no longer than a line. */
const placeOf = (request) => `${request.method} ${pathOf(request).slice(0, 200).replace(/[^\x21-\x7e]/g, '?')}`;

/**
 * `next`, to be called once. What is thrown behind it is the framework's to handle. Node's own http handles nothing,
 * and would end the process: then it is a 500, or the answer is cut off where it has begun.
 */
function handOver(next, request, response) {
  let called = false;
  const broken = (thrown) => {
    complain('the handler failed', thrown, placeOf(request));
    if (response.headersSent) breakOff(response);
    else respond(response, failed());
  };
  return (error) => {
    if (called) {
      if (error !== undefined) complain('failed after it was handed on', error, placeOf(request));
      return;
    }
    called = true;
    // Nobody can add to an answer that has ended, and a `next` that tries would end the process.
    if (error !== undefined && response.writableEnded) {
      complain('failed after the answer had ended', error, placeOf(request));
      return;
    }
    try {
      const result = error === undefined ? next() : next(error);
      if (isPromise(result)) Promise.resolve(result).then(undefined, broken);
    } catch (thrown) {
      broken(thrown);
    }
  };
}

/** Nothing can be told any more: an answer that has ended stays, one that is half out the framework cuts off. */
function tooLate(response, go, refusal) {
  if (!response.writableEnded) go(begun(refusal));
}

/**
 * Lets the application answer as a handler does, or by what it returns; the status is set, as the headers are. The
 * request does not stay open: it is answered or handed to `next` in time, whatever `onRefused` does.
 */
function refuseBy(onRefused, { request, response }, go, refusal) {
  const problem = problemOf(refusal);
  const { status } = problem;
  let handedOn = false;
  let answeredFor = false;
  response.statusCode = status;
  // Whoever goes on after all, or fails, does not answer with the refusal's status, nor with its wait.
  const next = (error) => {
    if (answeredFor) return;
    handedOn = true;
    if (!response.headersSent && response.statusCode === status) {
      response.statusCode = 200;
      response.removeHeader('Retry-After');
    }
    go(error);
  };
  const broken = (thrown) => next(asError(thrown));
  const isDone = () => handedOn || response.headersSent || response.writableEnded || isOver(request, response);
  const plainly = () => {
    answeredFor = true;
    silence(response);
    respond(response, problem);
  };
  const finish = (value) => {
    if (isDone()) return;
    if (value !== undefined && value !== response) return void sendValue(response, value, broken);
    answerLater('express', isDone, plainly);
  };
  watch('express', request, response, () => handedOn || answeredFor, plainly);
  try {
    const result = onRefused(request, response, next, refusal);
    if (isPromise(result)) Promise.resolve(result).then(finish).catch(broken);
    else finish(result);
  } catch (thrown) {
    broken(thrown);
  }
}

module.exports = { admit, clientIp, firstOf, header, rateLimit, route, user };
