'use strict';

const { translateGuards } = require('./guarded.cjs');
const { classesOf, limitedMethods } = require('./marks.cjs');
const { verifyGuarded } = require('./presence.cjs');
const { translated } = require('./refusals.cjs');
const { rememberUpgrades } = require('./upgrades.cjs');

/**
 * Makes the limits of all routes when the application starts, so that what cannot be made stops it then, and not a
 * request.
 */
class TidegateExplorer {
  #modules;
  #registry;
  #settle;
  #host;
  #translates;

  /** @param translates whether refusals of guards become exceptions that say when to come back */
  constructor(modules, registry, settle, host, translates) {
    this.#translates = translates;
    this.#settle = settle;
    this.#host = host;
    this.#modules = modules;
    this.#registry = registry;
  }

  onModuleInit() {
    this.#settle();
    if (this.#translates) {
      const translate = (error, context) =>
        context.getType() === 'http' ? translated(this.#registry, error, context) : error;
      translateGuards(this.#modules, translate);
    }
    for (const module of this.#modules.values()) {
      for (const metatype of classesOf(module)) {
        for (const method of limitedMethods(metatype)) {
          verifyGuarded(metatype, method);
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
