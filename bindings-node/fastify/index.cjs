'use strict';
// A Fastify plugin. Its options hold for every route; a route's own stand in `config.tidegate`.

const check = require('../lib/check.cjs');
const { CONSTRAINTS, clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { release } = require('../http/claims.cjs');
const { Gate, Plan, ask, readOptions, respond } = require('../http/middleware.cjs');
const { nameFrom } = require('../http/names.cjs');
const { breakOff, isOver } = require('../http/over.cjs');
const { CONTENT_TYPE, problemOf } = require('../http/problem.cjs');
const { answerFor, answerLater, begun, unsendable, watch } = require('../http/refused.cjs');
const { asError, complain, isPromise } = require('../lib/promise.cjs');
const { markConstraints, routesOf } = require('./heard.cjs');
const { unheard } = require('./unheard.cjs');

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'];

/**
 * The plans of routes, made when a route is told of, which is before the server starts: see heard.cjs. An instance that
 * was made before this module was loaded, and that registers it without `await`, tells of no route above: then a plan
 * is made at the route's first request.
 */
class Plans {
  #common;
  /** The place where all requests ask for a permit, where there is one. */
  #concurrent;
  #everywhere;
  /** By what Fastify keeps of a route, its config … */
  #known = new WeakMap();
  /** … and by route, because the HEAD that Fastify adds to a GET has a config of its own. */
  #byRoute = new Map();
  /** `GET /orders` of each route that a hook has told of … */
  #heard = new Set();
  /** … and of those that are several by constraints and that none told of: they have one plan, and one key 'route'. */
  #unheard = new Set();
  #isByRoute;

  /** What all routes have. */
  use({ limits: common, concurrent }) {
    this.#common = common;
    this.#concurrent = concurrent;
    this.#everywhere = new Plan(common);
    this.#isByRoute = common.some(({ key }) => key === route);
  }

  /** A mistake shows at once. */
  declare({ config, method, url }) {
    for (const one of [method].flat()) this.#heard.add(`${one} ${url}`);
    if (config?.tidegate !== undefined) this.#shared(config, method, url);
  }

  /** All routes are made. */
  complete(fastify) {
    this.#unheard = unheard(fastify, this.#heard);
  }

  of({ config, method, url }) {
    if (config?.tidegate === undefined) {
      if (this.#isByRoute && this.#unheard.size > 0) this.#warn(method, url);
      return this.#everywhere;
    }
    let plan = this.#known.get(config);
    if (plan === undefined) {
      this.#known.set(config, (plan = this.#shared(config, method, url)));
      this.#warn(method, url);
    }
    return plan;
  }

  /** Says once, where it matters, that routes are taken for one. */
  #warn(method, url) {
    if (![method].flat().some((one) => this.#unheard.has(`${one} ${url}`))) return;
    this.#unheard.clear();
    process.emitWarning(
      `the routes ${[method].flat()} ${url} differ only in their constraints and have one limit in common: ` +
        'tidegate/fastify did not hear of them, because it was registered without await; ' +
        'write await app.register(…) before the routes',
      { type: 'TidegateWarning' },
    );
  }

  /** Version, host and custom constraints are part of what is one route, as method and URL are. */
  #shared({ tidegate: own, [CONSTRAINTS]: constraints = '' }, method, url) {
    const methods = [...new Set([method].flat().map((one) => (one === 'HEAD' ? 'GET' : one)))].sort().join();
    const key = `${methods} ${url} ${constraints}`;
    const made = this.#byRoute.get(key) ?? [];
    this.#byRoute.set(key, made);
    let known = made.find((one) => one.own === own);
    if (known === undefined) made.push((known = { own, plan: this.#plan(own, key.trimEnd()) }));
    return known.plan;
  }

  /**
   * A route's limits come first and take the place of those of the same name; `false`: none at all. Each is an object
   * of its own, in a named scope as well: its name there is made of its own and the route's, the same in every process.
   */
  #plan(own, route) {
    if (own === false) return new Plan([]);
    const nameOf = ({ name, scope }) => {
      if (name !== undefined) return nameFrom(`${name}/${route}`);
      return scope === undefined ? undefined : nameFrom(route);
    };
    const declaredBy = { holder: this, where: `config.tidegate of ${route}`, nameOf };
    const isSettings = typeof own === 'object' && own !== null && typeof own.check !== 'function';
    const { partition, ...given } = isSettings ? own : { rate: own };
    this.#verify(partition);
    const { limits, entrance, exempt } = readOptions(given, 'config.tidegate', declaredBy);
    if (entrance !== undefined) {
      const which = ['shedder', 'backlog', 'concurrency'].find((name) => own[name] !== undefined);
      throw check.valueError(`${which}: it is one for all routes; give it where the plugin is registered`);
    }
    if (exempt !== undefined) {
      throw check.valueError('exempt: give it where the plugin is registered; a route says tidegate: false');
    }
    const names = limits.map(({ name }) => name);
    const plan = new Plan([...limits, ...this.#common.filter(({ name }) => !names.includes(name))]);
    plan.partition = partition;
    return plan;
  }

  #verify(partition) {
    if (partition === undefined) return;
    if (this.#concurrent === undefined) {
      throw check.valueError('partition: it is one of a concurrency limiter; give the plugin concurrency');
    }
    this.#concurrent.verify(partition);
  }
}

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
  // An error does not answer with the refusal's status.
  const unset = () => {
    if (!reply.raw.headersSent && reply.statusCode === status) reply.code(200);
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
    else Promise.resolve(value).then((later) => finish(later, true)).catch(failed);
  } catch (thrown) {
    failed(thrown);
  }
}

/** An answer that the application has taken over and left. */
function answerRaw(reply, refusal) {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value);
  respond(reply.raw, problemOf(refusal));
}

async function tidegateFastify(fastify, options = {}) {
  const { hook = 'onRequest', ...rest } = options;
  if (!HOOKS.includes(hook)) throw check.valueError(`hook must be one of ${HOOKS.join(', ')}, got ${check.show(hook)}`);
  // Fastify hands its own registration options (prefix, logLevel) through.
  const { prefix: _prefix, logLevel: _logLevel, logSerializers: _logSerializers, ...own } = rest;
  const plans = new Plans();
  const read = readOptions(own, 'tidegate/fastify', { holder: plans });
  const { gate: settings, entrance, isExempt, onRefused } = read;
  const gate = new Gate(settings);
  plans.use(read);

  for (const declared of routesOf(fastify)) plans.declare(declared);
  fastify.addHook('onRoute', (routeOptions) => {
    markConstraints(routeOptions);
    plans.declare(routeOptions);
  });
  fastify.addHook('onClose', async () => release(plans));
  fastify.addHook('preClose', async () => entrance?.close());
  fastify.addHook('onReady', async () => plans.complete(fastify));

  function decide(request, reply, done) {
    if (isExempt(request)) return void done();
    let plan;
    try {
      plan = plans.of(request.routeOptions);
    } catch (error) {
      return void done(error);
    }
    const exchange = gate.exchange(request, reply, reply);
    exchange.partition = plan.partition;
    const decided = (refusal) => {
      if (refusal === undefined) done();
      else if (isTheirs(reply)) return;
      else if (isAnswered(reply)) cutOff(request, reply, begun(refusal));
      else if (onRefused === undefined) answer(reply, refusal);
      else refuseBy(onRefused, request, reply, refusal, fail);
    };
    const fail = (error) => (isAnswered(reply) ? failLate(request, reply, error) : done(error));
    return void ask(gate, plan, exchange, entrance, decided, fail);
  }
  // Fastify gives preParsing the body's stream as well, and counts the arguments.
  if (hook === 'preParsing') {
    fastify.addHook(hook, function tidegate(request, reply, _payload, done) {
      decide(request, reply, done);
    });
  } else {
    fastify.addHook(hook, function tidegate(request, reply, done) {
      decide(request, reply, done);
    });
  }
}

// What fastify-plugin does: the hooks belong to whoever registers this, not to a scope of its own.
tidegateFastify[Symbol.for('skip-override')] = true;
tidegateFastify[Symbol.for('fastify.display-name')] = 'tidegate';

module.exports = Object.assign(tidegateFastify, { default: tidegateFastify, clientIp, firstOf, header, route, user });
