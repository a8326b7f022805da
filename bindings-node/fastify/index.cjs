'use strict';
// Fastify plugins. Their options hold for every route; a route's own stand in `config.tidegate`.

const check = require('../lib/check.cjs');
const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { release } = require('../http/claims.cjs');
const { HttpLimiter, ask, readGate, readOptions } = require('../http/middleware.cjs');
const { Gates } = require('./gates.cjs');
const { markConstraints, routesOf } = require('./heard.cjs');
const { Plans } = require('./plans.cjs');
const { enders } = require('./refusing.cjs');

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'];

async function tidegateFastify(fastify, options = {}) {
  const { hook, own } = hookOf(options);
  const plans = new Plans();
  const read = readOptions(own, 'tidegate/fastify', { holder: plans });
  fastify.addHook('onClose', async () => release(plans));
  fastify.addHook('preClose', async () => read.entrance?.close());
  install(fastify, hook, read, plans, 'limits');
}

async function admit(fastify, options = {}) {
  const { hook, own } = hookOf(options);
  const { gate, ...asking } = own;
  const read = readGate(gate, asking, "admit of 'tidegate/fastify'");
  if (!fastify.hasRequestDecorator('admission')) fastify.decorateRequest('admission', undefined);
  install(fastify, hook, read, new Gates(), 'gate');
}

/** The hook, and the rest without what Fastify hands through: its own registration options (prefix, logLevel). */
function hookOf(options) {
  const { hook = 'onRequest', prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...own } = options;
  if (!HOOKS.includes(hook)) throw check.valueError(`hook must be one of ${HOOKS.join(', ')}, got ${check.show(hook)}`);
  return { hook, own };
}

/**
 * @param plans knows what holds for each route
 * @param option what of a route's config is for it
 */
function install(fastify, hook, read, plans, option) {
  const { limiter: settings, isExempt, onRefused } = read;
  const limiter = new HttpLimiter(settings);
  plans.use(read);

  for (const declared of routesOf(fastify, option)) plans.declare(declared);
  fastify.addHook('onRoute', (routeOptions) => {
    markConstraints(routeOptions);
    plans.declare(routeOptions);
  });
  fastify.addHook('onReady', async () => plans.complete(fastify));

  function decide(request, reply, done) {
    if (isExempt(request)) return void done();
    let plan;
    try {
      plan = plans.of(request.routeOptions);
    } catch (error) {
      return void done(error);
    }
    const exchange = limiter.exchange(request, reply, reply);
    exchange.partition = plan.partition;
    const { decided, failed } = enders(request, reply, onRefused, done);
    return void ask(limiter, plan, exchange, plan.entrance, decided, failed);
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

for (const [plugin, name] of [
  [tidegateFastify, 'tidegate'],
  [admit, 'tidegate-gate'],
]) {
  // What fastify-plugin does: the hooks belong to whoever registers this, not to a scope of its own.
  plugin[Symbol.for('skip-override')] = true;
  plugin[Symbol.for('fastify.display-name')] = name;
}

const words = { admit, clientIp, firstOf, header, route, user };
module.exports = Object.assign(tidegateFastify, { default: tidegateFastify, ...words });
