'use strict';
// The limits of each route: those of all, and its own, which stand in `config.tidegate`.

const check = require('../lib/check.cjs');
const { CONSTRAINTS, route } = require('../http/keys.cjs');
const { Plan, readOptions } = require('../http/middleware.cjs');
const { nameFrom } = require('../http/names.cjs');
const { isSettings } = require('./heard.cjs');
const { unheard } = require('./unheard.cjs');

/**
 * The plans of routes, made when a route is told of, which is before the server starts: see heard.cjs. An instance that
 * was made before this module was loaded, and that registers it without `await`, tells of no route above: then a plan
 * is made at the route's first request.
 */
class Plans {
  #common;
  /** The place where all requests ask for a permit, where there is one. */
  #concurrent;
  #entrance;
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
  use({ limits: common, concurrent, entrance }) {
    this.#common = common;
    this.#concurrent = concurrent;
    this.#entrance = entrance;
    this.#everywhere = new Plan(common, entrance);
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
    if (own === false) return new Plan([], this.#entrance);
    const nameOf = ({ name, scope }) => {
      if (name !== undefined) return nameFrom(`${name}/${route}`);
      return scope === undefined ? undefined : nameFrom(route);
    };
    const declaredBy = { holder: this, where: `config.tidegate of ${route}`, nameOf };
    const { partition, gate: _gate, ...given } = isSettings(own) ? own : { rate: own };
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
    const others = this.#common.filter(({ name }) => !names.includes(name));
    const plan = new Plan([...limits, ...others], this.#entrance);
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

module.exports = { Plans };
