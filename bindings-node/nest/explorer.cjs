'use strict';

const { askLast, translateFilters } = require('./filtered.cjs');
const { classesOf, limitedMethods } = require('./marks.cjs');
const { verifyGuarded } = require('./presence.cjs');
const { standAside, standIn, translated } = require('./refusals.cjs');
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

  /** @param config Nest's ApplicationConfig, undefined where it cannot be had */
  constructor(modules, registry, settle, { host, config, interceptor }) {
    this.#modules = modules;
    this.#registry = registry;
    this.#settle = settle;
    this.#host = host;
    this.#config = config;
    this.#interceptor = interceptor;
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
    for (const module of this.#modules.values()) {
      for (const metatype of classesOf(module)) {
        for (const method of limitedMethods(metatype)) {
          verifyGuarded(metatype, method, hasRoutes);
          this.#registry.planOf(metatype, method);
        }
      }
    }
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
