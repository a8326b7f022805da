'use strict';
// The routes of each Fastify instance that is made once this is loaded: a plugin that is registered without `await` is
// loaded after the routes that stand below it, when no hook of its own tells it of them any more.

const { subscribe } = require('node:diagnostics_channel');
const { inspect } = require('node:util');
const check = require('../lib/check.cjs');
const { CONSTRAINTS } = require('../http/keys.cjs');

/** By root instance: `{ context, options, method, url }` of each route, in their order. */
const routes = new WeakMap();

subscribe('fastify.initialization', ({ fastify }) => {
  const heard = [];
  routes.set(fastify, heard);
  fastify.addHook('onRoute', function hear(options) {
    markConstraints(options);
    const { method, url } = options;
    heard.push({ context: this, options, method, url });
  });
  // Whatever is registered has been loaded by now.
  fastify.addHook('onReady', async () => heard.forEach(checkLimited));
});

/**
 * Before a route is made: what Fastify keeps of it gets to know its constraints. A config that several routes have in
 * common stays as it is.
 */
function markConstraints(options) {
  const constraints = constraintsOf(options);
  if (constraints !== '') options.config = { ...options.config, [CONSTRAINTS]: constraints };
}

/** Version, host and custom constraints as one text, the same in every process; '' for none. */
function constraintsOf({ constraints = {} }) {
  if (Object.keys(constraints).length === 0) return '';
  return inspect(constraints, { sorted: true, depth: null, breakLength: Infinity });
}

const isSettings = (own) => typeof own === 'object' && own !== null && typeof own.check !== 'function';

/** What a route's config says of its limits, and of the gate. */
function wordsOf({ config }) {
  const own = config?.tidegate;
  if (!isSettings(own)) return { limits: own, gate: own === false ? false : undefined };
  const { gate, ...limits } = own;
  return { limits: Object.keys(limits).length === 0 ? undefined : limits, gate };
}

/** Of each plugin, by what a route's config says for it: its name, and the contexts that have registered it. */
const PLUGINS = {
  limits: { plugin: 'tidegate/fastify', contexts: new WeakSet() },
  gate: { plugin: "admit of 'tidegate/fastify'", contexts: new WeakSet() },
};

/**
 * The context `fastify` registers the plugin: gives the routes that it has by now.
 *
 * A context has the hooks that were there when it was made, and no later ones: routes of one that was registered before
 * would be served without the limits that they ask for, so that is an error.
 */
function routesOf(fastify, option) {
  const { plugin, contexts: limited } = PLUGINS[option];
  const isFirst = !limited.has(fastify);
  limited.add(fastify);
  const heard = [...prototypesOf(fastify)].flatMap((one) => routes.get(one) ?? []);
  for (const { context, options, method, url } of isFirst ? heard : []) {
    if (!asks(options, option) || isLimited(context, fastify, limited)) continue;
    throw check.valueError(
      `config.tidegate of ${[method].flat()} ${url}: the plugin of this route was registered before ` +
        `${plugin}, whose limits it does not have; register ${plugin} first`,
    );
  }
  return heard
    .filter(({ context }) => context === fastify)
    .map(({ options, method, url }) => ({ config: options.config, method, url }));
}

/** A route that asks for limits in a context that nobody limits would be served without them: that is an error. */
function checkLimited({ context, options, method, url }) {
  for (const [option, { plugin, contexts }] of Object.entries(PLUGINS)) {
    if (!asks(options, option) || [...prototypesOf(context)].some((one) => contexts.has(one))) continue;
    throw check.valueError(
      `config.tidegate of ${[method].flat()} ${url}: ${plugin} is not registered in the context of this ` +
        'route or one around it, so nothing limits it; register it there, above the route (a plugin that does it for ' +
        'others needs fastify-plugin)',
    );
  }
}

const asks = (options, option) => ![undefined, false].includes(wordsOf(options)[option]);

/** A context's prototype is the one around it. */
function* prototypesOf(context) {
  for (let one = context; one !== null; one = Object.getPrototypeOf(one)) yield one;
}

/** Whether limits hold in `context`: its own, those of one between it and `fastify`, or it is none of `fastify`'s. */
function isLimited(context, fastify, limited) {
  for (const one of prototypesOf(context)) {
    if (one === fastify) return context === fastify;
    if (limited.has(one)) return true;
  }
  return true;
}

module.exports = { isSettings, markConstraints, routesOf, wordsOf };
