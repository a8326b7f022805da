'use strict';
// A Fastify plugin. Its options hold for every route; a route's own stand in `config.tidegate`.

const check = require('../lib/check.cjs');
const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { Gate, Plan, admit, readOptions } = require('../http/middleware.cjs');
const { CONTENT_TYPE, problemOf } = require('../http/problem.cjs');
const { whenReady } = require('../http/promise.cjs');

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'];
/** The plan of a route, on its options' config. */
const PLAN = Symbol('tidegate.plan');

/** A route's limits come first and take the place of those of the same name; `false`: none at all. */
function routePlan(own, common) {
  if (own === undefined) return undefined;
  if (own === false) return new Plan([]);
  const { limits, concurrency } = readOptions(own, 'config.tidegate');
  if (concurrency !== undefined) throw check.valueError('concurrency: it is one for all routes; give it where the plugin is registered');
  const names = limits.map(({ name }) => name);
  return new Plan([...limits, ...common.filter(({ name }) => !names.includes(name))]);
}

function answer(reply, refusal) {
  const problem = problemOf(refusal);
  return reply.code(problem.status).header('Content-Type', CONTENT_TYPE).send(JSON.stringify(problem));
}

async function tidegateFastify(fastify, options = {}) {
  const { hook = 'onRequest', ...rest } = options;
  if (!HOOKS.includes(hook)) throw check.valueError(`hook must be one of ${HOOKS.join(', ')}, got ${check.show(hook)}`);
  // Fastify hands its own registration options (prefix, logLevel) through.
  const { prefix: _prefix, logLevel: _logLevel, logSerializers: _logSerializers, ...own } = rest;
  const { gate: settings, limits, concurrency, onRefused } = readOptions(own, 'tidegate/fastify');
  const gate = new Gate(settings);
  const everywhere = new Plan(limits);

  fastify.addHook('onRoute', (routeOptions) => {
    const plan = routePlan(routeOptions.config?.tidegate, limits);
    if (plan !== undefined) routeOptions.config = { ...routeOptions.config, [PLAN]: plan };
  });
  fastify.addHook(hook, function tidegate(request, reply, done) {
    // A refused preflight looks like a broken site.
    if (request.method === 'OPTIONS') return void done();
    const plan = request.routeOptions.config?.[PLAN] ?? everywhere;
    const exchange = gate.exchange(request, reply, reply);
    const decided = (refusal) => {
      if (refusal === undefined) return void done();
      if (onRefused !== undefined) return onRefused(request, reply, refusal);
      return answer(reply, refusal);
    };
    try {
      const outcome = whenReady(admit(gate, plan, exchange, concurrency), decided);
      if (typeof outcome?.catch === 'function') outcome.catch(done);
    } catch (error) {
      done(error);
    }
    return undefined;
  });
}

// What fastify-plugin does: the hooks belong to whoever registers this, not to a scope of its own.
tidegateFastify[Symbol.for('skip-override')] = true;
tidegateFastify[Symbol.for('fastify.display-name')] = 'tidegate';

module.exports = Object.assign(tidegateFastify, { default: tidegateFastify, clientIp, firstOf, header, route, user });
