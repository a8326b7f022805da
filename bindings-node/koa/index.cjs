'use strict';
// Middleware for Koa.

const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { HttpLimiter, Plan, admit: decide, readGate, readRateLimit } = require('../http/middleware.cjs');
const { isOver } = require('../http/over.cjs');
const { CONTENT_TYPE, problemOf } = require('../http/problem.cjs');
const { answerFor, begun, patience, watch } = require('../http/refused.cjs');
const { asError } = require('../lib/promise.cjs');

const rateLimit = (options) => middleware(readRateLimit(options));

const admit = (gate, options = {}) => middleware(readGate(gate, options, 'admit'));

function middleware({ limiter: settings, limits, entrance, isExempt, onRefused }) {
  const limiter = new HttpLimiter(settings);
  const plan = new Plan(limits);

  return async function tidegate(context, next) {
    if (isExempt(context)) return next();
    const exchange = limiter.exchange(context, context.res, context, context.req);
    let refusal;
    try {
      refusal = await decide(limiter, plan, exchange, entrance);
    } catch (error) {
      throw asError(error);
    }
    if (refusal === undefined) return next();
    if (exchange.answered) throw begun(refusal);
    if (onRefused === undefined) answer(context, refusal);
    else await refuseBy(onRefused, context, refusal);
    return undefined;
  };
}

function answer(context, refusal) {
  const problem = problemOf(refusal);
  context.status = problem.status;
  context.body = JSON.stringify(problem);
  context.type = CONTENT_TYPE;
}

/**
 * Lets the application answer as a handler does, or by what it returns; the status is set, as the headers are. A
 * request does not stay open: Koa answers once this has ended, whatever `onRefused` does.
 */
async function refuseBy(onRefused, context, refusal) {
  const { status } = problemOf(refusal);
  const plainly = () => answer(context, refusal);
  let hasStalled = () => {};
  const stalled = new Promise((resolve) => (hasStalled = resolve));
  let isLeft = false;
  watch(
    'koa',
    context.req,
    context.res,
    () => isLeft,
    () => (plainly(), hasStalled()),
  );
  const before = context.status;
  context.status = status;
  try {
    const value = await Promise.race([onRefused(context, refusal), stalled]);
    if (value !== undefined && value !== context) context.body = value;
  } catch (error) {
    context.status = before;
    throw asError(error);
  } finally {
    isLeft = true;
  }
  const isAnswered = context.respond === false || context.res.headersSent || ![undefined, null].includes(context.body);
  if (!isAnswered && !isOver(context.req, context.res)) answerFor('koa', plainly);
}

module.exports = { admit, clientIp, firstOf, header, rateLimit, route, user };
