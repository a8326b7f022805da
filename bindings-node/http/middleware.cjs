'use strict';
// What the plain middlewares share: their options, and the answer to a refused request.

const check = require('../lib/check.cjs');
const { backlogOf } = require('./backlog.cjs');
const { DECLARED_BY, release } = require('./claims.cjs');
const { entranceOf } = require('./concurrency.cjs');
const { exemption } = require('./exempt.cjs');
const { ASKING, GateEntrance } = require('./gate.cjs');
const { HttpLimiter, OPTIONS: LIMITER, limiterOptions } = require('./limiter.cjs');
const { Limit, MEETING } = require('./limit.cjs');
const { limitsFrom, placeOf } = require('./options.cjs');
const { Plan } = require('./plan.cjs');
const { Presenter } = require('./presenter.cjs');
const { CONTENT_TYPE, problemOf } = require('./problem.cjs');
const { asError, isPromise, whenReady } = require('../lib/promise.cjs');
const { sheddingOf } = require('./shedding.cjs');
const { source } = require('./source.cjs');

const SINGLE = ['rate', ...MEETING, ...source.OPTIONS];
const ENTRANCE = ['shedder', 'priority', 'user', 'backlog', 'concurrency', 'partition'];
const OPTIONS = ['limits', ...ENTRANCE, 'exempt', 'onRefused', ...LIMITER];
/** Of a gate, which has its own lists of clients. */
const GATE = [...ASKING, 'exempt', 'onRefused', ...LIMITER.filter((name) => !['allow', 'deny'].includes(name))];

/**
 * `'5/minute'`, the settings of one limit, or `{ limits }`; beside them those of the limiter.
 *
 * @param declaredBy for whom, where an application answers for what it declares: see claims.cjs
 */
function readOptions(given, where, declaredBy = { holder: {} }) {
  try {
    return read(given, where, declaredBy);
  } catch (error) {
    // What an error ends at once has declared nothing.
    if (declaredBy.nameOf === undefined) release(declaredBy.holder);
    throw error;
  }
}

function read(given, where, declaredBy) {
  const options =
    ['string', 'number', 'function'].includes(typeof given) || typeof given?.check === 'function'
      ? { rate: given }
      : given;
  const [limiter, rest] = limiterOptions(check.options(options, where, [...OPTIONS, ...SINGLE]));
  const { limits, shedder, priority, user, backlog, concurrency, partition, exempt, onRefused, rate, ...single } = rest;
  const { scope, onConflict, ...others } = single;
  if (onRefused !== undefined) check.callable(onRefused, 'onRefused');
  if (limits !== undefined && (rate !== undefined || Object.keys(others).length > 0)) {
    throw check.valueError(`${where} takes either limits or the settings of one limit (rate, …), not both`);
  }
  const place = { ...placeOf({ scope, onConflict }), [DECLARED_BY]: declaredBy };
  const made = limits === undefined ? limitsOfOne(rate, single, place) : limitsFrom(limits, place);
  // What finds no room is charged nothing.
  for (const [name, value] of Object.entries({ concurrency, shedder, backlog })) {
    if (value !== undefined) for (const limit of made) limit.checkRefund?.(name);
  }
  const concurrent = entranceOf(concurrency, partition, place);
  return {
    limiter,
    onRefused,
    exempt,
    isExempt: exemption(exempt),
    limits: made,
    concurrent,
    entrance: sheddingOf({ shedder, priority, user }, backlogOf(backlog, concurrent)),
  };
}

const limitsOfOne = (rate, single, place) => (rate === undefined ? [] : Limit.all(rate, single, place));

/** The options of a middleware `rateLimit`, which has something to decide. */
function readRateLimit(given) {
  const read = readOptions(given, 'rateLimit');
  if (read.limits.length === 0 && read.entrance === undefined) {
    const needed = "a rate such as '100/minute', or limits, concurrency, a backlog or a shedder";
    throw check.valueError(`rateLimit needs ${needed}`);
  }
  return read;
}

/** What `readOptions` gives, of a gate and how requests ask it. */
function readGate(gate, given, where) {
  const [limiter, { exempt, onRefused, ...asking }] = limiterOptions(check.options(given, where, GATE));
  if (onRefused !== undefined) check.callable(onRefused, 'onRefused');
  const entrance = new GateEntrance(gate, asking, new Presenter(limiter));
  return { limiter, onRefused, exempt, isExempt: exemption(exempt), limits: [], concurrent: undefined, entrance };
}

/** Asks the limiter, then at the entrance. */
function admit(limiter, plan, exchange, entrance) {
  return whenReady(limiter.admit(plan, exchange), (refusal) =>
    refusal !== undefined || entrance === undefined ? refusal : enter(entrance, exchange),
  );
}

/** Asks at the entrance. A fault of the application's own costs the client nothing. */
function enter(entrance, exchange) {
  const failed = (error) => {
    exchange.uncharge();
    throw asError(error);
  };
  try {
    const outcome = entrance.enter(exchange);
    return isPromise(outcome) ? outcome.then(undefined, failed) : outcome;
  } catch (error) {
    return failed(error);
  }
}

/** Asks, and calls exactly one of `decided(refusal)` and `failed(error)`, once. Neither may throw. */
function ask(limiter, plan, exchange, entrance, decided, failed) {
  let outcome;
  try {
    outcome = admit(limiter, plan, exchange, entrance);
  } catch (error) {
    return void failed(asError(error));
  }
  if (isPromise(outcome)) outcome.then(decided, (error) => failed(asError(error)));
  else decided(outcome);
  return undefined;
}

/**
 * Answers a refusal with 429 (a deny list's with 403, an overload's with 503) and a problem body. The answer must not
 * have begun.
 */
const refuse = (exchange, refusal) => respond(exchange.rawResponse, problemOf(refusal));

function respond(response, problem) {
  response.statusCode = problem.status;
  response.setHeader('Content-Type', CONTENT_TYPE);
  response.end(JSON.stringify(problem));
}

module.exports = { HttpLimiter, Plan, admit, ask, enter, readGate, readOptions, readRateLimit, refuse, respond };
