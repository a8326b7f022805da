'use strict';

const { BoundedQueue, CircuitBreaker, ConcurrencyLimiter, Gate } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { refuseWaiting } = require('../lib/concurrency.cjs');
const { REFUSAL } = require('../lib/errors.cjs');
const { DECLARED_BY, release } = require('../http/claims.cjs');
const { declare } = require('../http/declare.cjs');
const { exemption } = require('../http/exempt.cjs');
const { ASKING, GateEntrance } = require('../http/gate.cjs');
const { HttpLimiter, OPTIONS: LIMITER } = require('../http/limiter.cjs');
const { entries, limitsFrom, placeOf } = require('../http/options.cjs');
const { Limit } = require('../http/limit.cjs');
const { Plan } = require('../http/plan.cjs');
const { Presenter } = require('../http/presenter.cjs');
const { isExempt } = require('./call.cjs');
const { gateException, httpException } = require('./exception.cjs');
const { gateOn, limitsOn, skipsOn } = require('./marks.cjs');
const { withPolicy } = require('./policy.cjs');

const OPTIONS = [
  ...['policy', 'limits', 'breakers', 'queues', 'concurrency', 'gates'],
  ...['scope', 'onConflict', 'overloadStatus', 'exempt'],
  ...LIMITER,
];

/** Everything one application has configured: its limits, breakers, queues, concurrency limiters and gates. */
class TidegateRegistry {
  #limits;
  #breakers;
  #queues;
  #concurrency;
  /** Name → gate and how it is asked. */
  #gates;
  #overloadStatus;
  /** Which requests pass uncounted. */
  #exempt;
  /** Where everything is made that does not say another place. */
  #place;
  /** The limits of each route: handler → controller → plan, innermost first. */
  #plans = new WeakMap();
  /** The limits of each field: handler → plan. */
  #fields = new WeakMap();
  /** Of routes that say nothing of their own. */
  #common;
  /** A decorator's limits, made once for all the routes of a class that it stands over: decorator → class → limits. */
  #decorated = new Map();
  /** Who has which name in a named scope. */
  #owners = new Map();
  /** What was made from settings, so that nobody else has it. */
  #made = new Set();

  constructor(options) {
    try {
      this.#configure(options);
    } catch (error) {
      release(this);
      throw error;
    }
  }

  #configure(options) {
    const given = withPolicy(check.options(options ?? {}, 'TidegateModule', OPTIONS));
    this.#overloadStatus = check.whole(given.overloadStatus ?? 503, 'overloadStatus', 400, 599);
    this.#exempt = exemption(given.exempt);
    this.#place = { ...placeOf(given), [DECLARED_BY]: { holder: this } };
    this.#limits = limitsFrom(given.limits, this.#place);
    for (const { name } of this.#limits) this.#owners.set(name, `the module's limit '${name}'`);
    this.#common = new Plan(this.#limits);
    this.#breakers = this.#each(given, 'breakers', CircuitBreaker, (settings, name) =>
      declare(
        ({ name: _name, ...rest }) => new CircuitBreaker(name, rest),
        { ...this.#place, ...settings, name },
        'circuit breaker',
      ),
    );
    this.#queues = this.#each(given, 'queues', BoundedQueue, (settings) => new BoundedQueue(settings));
    this.#concurrency = this.#each(given, 'concurrency', ConcurrencyLimiter, (settings, name) =>
      declare(
        (options) => new ConcurrencyLimiter(options),
        { ...this.#place, ...settings, name },
        'concurrency limiter',
      ),
    );
    this.limiter = new HttpLimiter(given);
    const presenter = new Presenter(given);
    this.#gates = new Map(
      entries(given.gates, 'gates').map(([name, value]) => [name, this.#gate(name, value, presenter)]),
    );
  }

  breaker(name) {
    return found(this.#breakers, name, 'circuit breaker', 'breakers');
  }

  queue(name) {
    return found(this.#queues, name, 'queue', 'queues');
  }

  concurrencyLimiter(name) {
    return found(this.#concurrency, name, 'concurrency limiter', 'concurrency');
  }

  gate(name) {
    return found(this.#gates, name, 'gate', 'gates').gate;
  }

  /** Those over all routes. */
  get limits() {
    return this.#limits;
  }

  /** The names that are configured. */
  get names() {
    return {
      breakers: [...this.#breakers.keys()],
      queues: [...this.#queues.keys()],
      concurrency: [...this.#concurrency.keys()],
      gates: [...this.#gates.keys()],
    };
  }

  /** `error` as an HttpException where it is a refusal of tidegate, else as it is. */
  httpException(error) {
    return httpException(error, this.#overloadStatus);
  }

  /** A gate's refusal as an HttpException. */
  gateException(refusal) {
    return gateException(refusal, this.#overloadStatus);
  }

  /** Whether a call passes whatever its limits say. */
  isExempt(context, exchange) {
    return isExempt(this.#exempt, context, exchange);
  }

  /** The application ends: whoever waits in a line of its own gets an answer, or its server would wait for them. */
  close() {
    release(this);
    for (const object of this.#made) {
      if (object instanceof ConcurrencyLimiter) refuseWaiting(object);
      else if (object instanceof BoundedQueue) object.close();
    }
  }

  /** `isField`: of a GraphQL field that is no root field only its own limits count, which stand on its method. */
  planOf(controller, handler, isField = false) {
    if (isField) return this.#fieldPlanOf(handler);
    let byController = this.#plans.get(handler);
    if (byController === undefined) this.#plans.set(handler, (byController = new Map()));
    let plan = byController.get(controller);
    if (plan === undefined) byController.set(controller, (plan = this.#plan(controller, handler)));
    return plan;
  }

  #fieldPlanOf(handler) {
    let plan = this.#fields.get(handler);
    if (plan === undefined) {
      const skips = skipsOn(handler);
      const limits = skips.includes(undefined) ? [] : limitsOn(handler).flatMap((one) => this.#make(one));
      const kept = limits.filter(({ name }) => !skips.includes(name));
      this.#fields.set(handler, (plan = new Plan(kept, this.#entranceOf(gateOn(handler)))));
    }
    return plan;
  }

  /**
   * Innermost first; a limit takes the place of those of the same name further out. One without a name replaces none.
   */
  #plan(controller, handler) {
    const skips = [...skipsOn(handler), ...skipsOn(controller)];
    const entrance = this.#entranceOf(gateOn(handler, controller));
    if (skips.includes(undefined)) return new Plan([], entrance);
    const levels = [limitsOn(handler), limitsOn(controller)].map((level) =>
      level.map((one) => [this.#make(one, controller), named(one)]),
    );
    const isCommon = skips.length === 0 && levels.every(({ length }) => length === 0);
    if (isCommon) return entrance === undefined ? this.#common : new Plan(this.#limits, entrance);
    const limits = [];
    const taken = new Set();
    for (const level of [...levels, [[this.#limits, true]]]) {
      for (const [made] of level) limits.push(...made.filter(({ name }) => !taken.has(name)));
      for (const [made, isNamed] of level) if (isNamed) for (const { name } of made) taken.add(name);
    }
    return new Plan(
      limits.filter(({ name }) => !skips.includes(name)),
      entrance,
    );
  }

  /** A gate of the options: as it is, or with how it is asked. */
  #gate(name, value, presenter) {
    const where = `gates: '${name}'`;
    const { gate, ...asking } =
      value instanceof Gate ? { gate: value } : check.options(value, where, ['gate', ...ASKING]);
    const entrance = said(where, () => new GateEntrance(gate, asking, presenter));
    if (!(REFUSAL in gate)) Object.defineProperty(gate, REFUSAL, { value: (error) => this.httpException(error) });
    return { gate, entrance };
  }

  /** How a route asks its gate, by what the decorator says. */
  #entranceOf(told) {
    if (told === undefined) return undefined;
    const { name, own, place } = told;
    return said(`@Gate on ${place}`, () => {
      const { entrance } = found(this.#gates, name, 'gate', 'gates');
      return Object.keys(own).length === 0 ? entrance : entrance.with(own);
    });
  }

  /** Classes that inherit a decorator have limits of their own: their routes are others. */
  #make(decorated, type = decorated.type) {
    let byType = this.#decorated.get(decorated);
    if (byType === undefined) this.#decorated.set(decorated, (byType = new Map()));
    let limits = byType.get(type);
    if (limits === undefined) {
      const { rate, options, place, objectName } = type === decorated.type ? decorated : decorated.of(type);
      if (isNamedScope(options.scope ?? this.#place.scope)) this.#own(objectName, place);
      const by = { holder: this, where: `@RateLimit on ${place}` };
      limits = Limit.all(rate, options, { ...this.#place, objectName, [DECLARED_BY]: by });
      byType.set(type, limits);
    }
    return limits;
  }

  /**
   * In a named scope two limits of one name are one object: the second would take the first one's rate, or the first
   * its.
   */
  #own(name, place) {
    const owner = this.#owners.get(name);
    if (owner !== undefined) {
      throw check.valueError(
        `@RateLimit on ${place}: ${owner} is called '${name}' in the scope already; give one of them another name: ` +
          "@RateLimit(…, { name: 'orders' })",
      );
    }
    this.#owners.set(name, `that on ${place}`);
  }

  /** Objects by name; their refusals are HttpExceptions from the call on, so in guards and pipes as well. */
  #each(given, option, kind, make) {
    return new Map(
      entries(given[option], option).map(([name, value]) => {
        if (value === null || typeof value !== 'object') {
          throw check.typeError(
            `${option}: '${name}' must be an object of settings or a ${kind.name}, got ${check.show(value)}`,
          );
        }
        const object = value instanceof kind ? value : make(value, name);
        if (object !== value) this.#made.add(object);
        if (!(REFUSAL in object))
          Object.defineProperty(object, REFUSAL, { value: (error) => this.httpException(error) });
        return [name, object];
      }),
    );
  }
}

/** A mistake tells where it stands. */
function said(where, make) {
  try {
    return make();
  } catch (error) {
    error.message = `${where}: ${error.message}`;
    throw error;
  }
}

/** Whether the limits of a decorator have names that their author chose. */
const named = ({ rate, options }) => options.name !== undefined || rate?.members !== undefined;

function isNamedScope(scope = process.env.TIDEGATE_SCOPE ?? 'process') {
  return scope !== 'process' && scope !== '';
}

function found(map, name, what, option) {
  const value = map.get(name);
  if (value === undefined) {
    const known = [...map.keys()].map((key) => `'${key}'`).join(', ') || 'none';
    throw check.valueError(
      `no ${what} '${name}': add it to '${option}' of TidegateModule (configured there: ${known})`,
    );
  }
  return value;
}

module.exports = { TidegateRegistry };
