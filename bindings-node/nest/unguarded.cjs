'use strict';
// Limits over which no guard of ours stands: with `guard: false`, or on a gateway that has another guard alone.

const check = require('../lib/check.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { classesOf, isMarked, limitedMethods, methodsOf, saidOn } = require('./marks.cjs');
const { GUARDS, MESSAGES, SOCKETS, isHandler } = require('./nests.cjs');
const { GuardPlace } = require('./override.cjs');

/** Nest's own names: what a class has injected, by its constructor and by properties. */
const [TYPES, TOKENS, PROPERTIES] = ['design:paramtypes', 'self:paramtypes', 'self:properties_metadata'];

const isOurClass = (type) =>
  type === TidegateGuard || (typeof type === 'function' && type.prototype instanceof TidegateGuard);

/** Whether a guard's class is ours, one made of it, or one that asks for ours, to call it. */
function isOurType(type) {
  if (isOurClass(type)) return true;
  if (typeof type !== 'function') return false;
  const tokens = (Reflect.getMetadata(TOKENS, type) ?? []).map(({ param }) => param);
  const properties = (Reflect.getMetadata(PROPERTIES, type) ?? []).map((property) => property.type);
  const injected = [...(Reflect.getMetadata(TYPES, type) ?? []), ...tokens, ...properties];
  return injected.some((token) => isOurClass(token?.forwardRef?.() ?? token));
}

/**
 * Of a guard that stands somewhere, an instance or a class.
 * @param provided what stands behind the token of ours
 */
function isOurs(guard, provided) {
  if (typeof guard === 'function') return isOurType(guard);
  if (guard === null || typeof guard !== 'object') return false;
  const known = (one) => one === provided || one instanceof TidegateGuard;
  return known(guard) || Object.values(guard).some(known) || isOurType(guard.constructor);
}

const guardsOn = (target) => Reflect.getMetadata(GUARDS, target) ?? [];

/** What stands over the routes of an application. */
class Guards {
  #modules;
  #isOurs;
  #isOverAll;
  #hasRoutes;

  /**
   * @param config Nest's ApplicationConfig, undefined where it cannot be had
   * @param isGlobal whether TidegateModule has a guard over all routes
   */
  constructor(modules, { config, isGlobal, hasRoutes }) {
    const provided = providedIn(modules);
    this.#modules = modules;
    this.#hasRoutes = hasRoutes;
    this.#isOurs = (guard) => isOurs(guard, provided);
    this.#isOverAll =
      isGlobal ||
      (config?.getGlobalGuards() ?? []).some(this.#isOurs) ||
      (config?.getGlobalRequestGuards() ?? []).some(
        ({ metatype, inject }) => isOurType(metatype) || inject?.some(isOurClass),
      );
  }

  /**
   * Of a method with limits: refuses a gateway's without a guard, and says which messages have no limit.
   *
   * Nest applies no global guard to gateways, nor to the microservices of an application with routes unless they
   * inherit its config, of which nothing is known here.
   */
  verify(metatype, method) {
    const guards = [...guardsOn(method), ...guardsOn(metatype)];
    const [place] = [...saidOn(method), ...saidOn(metatype)];
    const advice = `put @UseGuards(TidegateGuard) on ${metatype.name}`;
    if (Reflect.hasMetadata(SOCKETS, method) && guards.length === 0) {
      throw check.valueError(
        `${place}: Nest applies no global guard to gateways, so nothing would be limited; ${advice}`,
      );
    }
    if (!this.#isSharedMessage(method) || guards.some(this.#isOurs)) return;
    process.emitWarning(
      `${place}: in an application with routes Nest applies no global guard to messages, so they are not limited, ` +
        `unless their microservice is connected with { inheritAppConfig: true }; else ${advice}`,
      { type: 'TidegateWarning' },
    );
  }

  /**
   * Says once what refuses nothing, because no guard of ours stands over it. Whoever calls ours by other means knows
   * better, so the application starts.
   *
   * @param limits those of the module
   */
  tell(limits) {
    const names = limits.map(({ name }) => `'${name}'`).join(', ');
    const first = names === '' || this.#isAnywhere() ? [] : [`the limits of TidegateModule (${names})`];
    tell([...first, ...new Set(this.#unguarded())]);
  }

  #isAnywhere() {
    const targets = [...this.#classes()].flatMap((metatype) => [metatype, ...methodsOf(metatype)]);
    return this.#isOverAll || targets.some((target) => this.#isOver(target));
  }

  *#unguarded() {
    for (const metatype of this.#classes()) {
      if (this.#isOver(metatype)) continue;
      for (const method of limitedMethods(metatype)) {
        const isGlobal = this.#isOverAll && !Reflect.hasMetadata(SOCKETS, method);
        const isTold = isGlobal || this.#isSharedMessage(method) || this.#isOver(method);
        if (!isTold && (isMarked(method) || isHandler(method))) yield `${metatype.name}.${method.name}`;
      }
    }
  }

  /** The place of the guard that tests override is nothing that Nest calls. */
  *#classes() {
    for (const module of this.#modules.values()) {
      for (const metatype of classesOf(module)) if (metatype !== GuardPlace) yield metatype;
    }
  }

  #isOver(target) {
    return guardsOn(target).some(this.#isOurs);
  }

  /** A message of a microservice beside routes. */
  #isSharedMessage(method) {
    return this.#hasRoutes && Reflect.hasMetadata(MESSAGES, method);
  }
}

/** What stands behind the token of our guard: a test may have put anything there. */
function providedIn(modules) {
  for (const { providers } of modules.values()) {
    if (providers.has(GuardPlace)) return providers.get(TidegateGuard)?.instance;
  }
  return undefined;
}

function tell([first, ...others]) {
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` and ${others.length < 3 ? others.join(' and ') : `${others.length} more`}`;
  process.emitWarning(
    `${first}${more}: no TidegateGuard stands there, so nothing is limited; put @UseGuards(TidegateGuard) on the ` +
      'controller or gateway, or, after the guards of authentication, { provide: APP_GUARD, useExisting: ' +
      'TidegateGuard } among the providers of a module (a guard that calls it without having it injected is not seen)',
    { type: 'TidegateWarning' },
  );
}

module.exports = { Guards, isOurClass };
