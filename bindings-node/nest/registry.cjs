'use strict';

const { BoundedQueue, CircuitBreaker, ConcurrencyLimiter } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { Gate, OPTIONS: GATE } = require('../http/gate.cjs');
const { entries, limitsFrom, placeOf } = require('../http/options.cjs');
const { Limit } = require('../http/limit.cjs');
const { Plan } = require('../http/plan.cjs');
const { limitsOn, skipsOn } = require('./decorators.cjs');

const OPTIONS = ['limits', 'breakers', 'queues', 'concurrency', 'scope', 'onConflict', 'overloadStatus', ...GATE];

const each = (pairs, make) => new Map(pairs.map(([name, value]) => [name, make(value, name)]));

/** Everything one application has configured: its limits, breakers, queues and concurrency limiters. */
class TidegateRegistry {
  #limits;
  #breakers;
  #queues;
  #concurrency;
  /** Where everything is made that does not say another place. */
  #place;
  /** The limits of each route: handler → controller → plan, innermost first. */
  #plans = new WeakMap();
  /** A decorator's limit, made once for all the routes that it stands over. */
  #decorated = new Map();

  constructor(options) {
    const given = check.options(options ?? {}, 'TidegateModule', OPTIONS);
    this.#place = placeOf(given);
    this.#limits = limitsFrom(given.limits, this.#place);
    this.#breakers = each(entries(given.breakers, 'breakers'), (settings, name) =>
      settings instanceof CircuitBreaker ? settings : new CircuitBreaker(name, { ...this.#place, ...settings }),
    );
    this.#queues = each(entries(given.queues, 'queues'), (settings) =>
      settings instanceof BoundedQueue ? settings : new BoundedQueue(settings),
    );
    this.#concurrency = each(entries(given.concurrency, 'concurrency'), (settings, name) =>
      settings instanceof ConcurrencyLimiter ? settings : new ConcurrencyLimiter({ ...this.#place, ...settings, name }),
    );
    this.gate = new Gate(given);
    this.overloadStatus = check.whole(given.overloadStatus ?? 503, 'overloadStatus', 400, 599);
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

  planOf(controller, handler) {
    let byController = this.#plans.get(handler);
    if (byController === undefined) this.#plans.set(handler, (byController = new Map()));
    let plan = byController.get(controller);
    if (plan === undefined) byController.set(controller, (plan = this.#plan(controller, handler)));
    return plan;
  }

  #plan(controller, handler) {
    const skips = [...skipsOn(handler), ...skipsOn(controller)];
    if (skips.includes(undefined)) return new Plan([]);
    const own = [...limitsOn(handler), ...limitsOn(controller)].flatMap((description) => this.#make(description));
    // A route's limit takes the place of the application's limit of the same name.
    const names = own.map(({ name }) => name);
    const common = this.#limits.filter(({ name }) => !names.includes(name));
    return new Plan([...own, ...common].filter(({ name }) => !skips.includes(name)));
  }

  #make(description) {
    let limits = this.#decorated.get(description);
    if (limits === undefined) {
      const { rate, options, objectName } = description;
      limits = Limit.all(rate, options, { ...this.#place, objectName });
      this.#decorated.set(description, limits);
    }
    return limits;
  }
}

function found(map, name, what, option) {
  const value = map.get(name);
  if (value === undefined) {
    const known = [...map.keys()].map((key) => `'${key}'`).join(', ') || 'none';
    throw check.valueError(`no ${what} '${name}': add it to '${option}' of TidegateModule (configured there: ${known})`);
  }
  return value;
}

module.exports = { TidegateRegistry };
