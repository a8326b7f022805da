'use strict';

const { hasOwnLimits } = require('./decorators.cjs');
const { translateGuards } = require('./guarded.cjs');
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
    for (const { controllers, providers } of this.#modules.values()) {
      for (const { metatype } of [...controllers.values(), ...providers.values()]) {
        if (typeof metatype?.prototype === 'object' && metatype.prototype !== null) this.#explore(metatype);
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

  /** Its methods and those that it inherits, as far as a decorator of ours stands there. */
  #explore(metatype) {
    const seen = new Set(['constructor']);
    for (
      let type = metatype.prototype;
      type !== null && type !== Object.prototype;
      type = Object.getPrototypeOf(type)
    ) {
      for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
        if (seen.has(name)) continue;
        seen.add(name);
        if (typeof value === 'function' && hasOwnLimits(metatype, value)) this.#registry.planOf(metatype, value);
      }
    }
  }
}

module.exports = { TidegateExplorer };
