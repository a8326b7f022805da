'use strict';

const { askLast, translateFilters } = require('./filtered.cjs');
const { classesOf, limitedMethods } = require('./marks.cjs');
const { standAside, standIn, translated } = require('./refusals.cjs');
const { Guards } = require('./unguarded.cjs');
const { rememberUpgrades } = require('./upgrades.cjs');

/** Where refusals of HTTP and GraphQL end: in filters. */
const FILTERED = new Set(['http', 'graphql']);

/**
 * Makes the limits of all routes, and finds their gates, when the application starts, so that what cannot be made stops
 * it then, and not a request.
 */
class TidegateExplorer {
  #modules;
  #registry;
  #settle;
  #host;
  #config;
  #interceptor;
  #isGlobal;

  /**
   * @param config Nest's ApplicationConfig, undefined where it cannot be had
   * @param isGlobal whether TidegateModule has a guard over all routes
   */
  constructor(modules, registry, settle, { host, config, interceptor, isGlobal }) {
    this.#modules = modules;
    this.#registry = registry;
    this.#settle = settle;
    this.#host = host;
    this.#config = config;
    this.#interceptor = interceptor;
    this.#isGlobal = isGlobal;
  }

  /** All instances are made, and no route of HTTP. */
  beforeRoutes() {
    askLast(this.#config);
    const translate = (error, host) => (FILTERED.has(host.getType()) ? translated(this.#registry, error, host) : error);
    if (translateFilters(this.#modules, this.#config, translate)) standAside(this.#interceptor);
  }

  onModuleInit() {
    standIn(this.#interceptor);
    this.#settle();
    const hasRoutes = (this.#host?.httpAdapter ?? null) !== null;
    const guards = new Guards(this.#modules, { config: this.#config, isGlobal: this.#isGlobal, hasRoutes });
    for (const module of this.#modules.values()) {
      for (const metatype of classesOf(module)) {
        for (const method of limitedMethods(metatype)) {
          guards.verify(metatype, method);
          this.#registry.planOf(metatype, method);
        }
      }
    }
    guards.tell(this.#registry.limits);
  }

  /** All who take upgrades of the application's server have told it by now. */
  onApplicationBootstrap() {
    rememberUpgrades(this.#host?.httpAdapter?.getHttpServer?.());
  }

  /** What the application does at its end (onModuleDestroy) is done, and its servers still listen. */
  beforeApplicationShutdown() {
    this.#registry.close();
  }
}

module.exports = { TidegateExplorer };
