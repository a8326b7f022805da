'use strict';

const { BoundedQueue, CircuitBreaker } = require('../index.cjs');
const check = require('../lib/check.cjs');
const { limitsOn, skipsOn } = require('./decorators.cjs');
const { Limit } = require('./limit.cjs');

const OPTIONS = ['limits', 'breakers', 'queues', 'headers', 'overloadStatus'];

/** `{ name: settings }` or `[{ name, …settings }]` → pairs of name and settings. */
function entries(value, option) {
  if (value === undefined) return [];
  if (value === null || typeof value !== 'object') {
    throw check.typeError(`${option} must be an object of settings by name, or an array of settings with a name`);
  }
  const pairs = Array.isArray(value) ? value.map(({ name, ...settings }) => [name, settings]) : Object.entries(value);
  const names = new Set();
  for (const [name] of pairs) {
    if (typeof name !== 'string') throw check.typeError(`each of ${option} needs a name, got ${check.show(name)}`);
    if (names.has(name)) throw check.valueError(`${option}: the name '${name}' stands there twice`);
    names.add(name);
  }
  return pairs;
}

const each = (pairs, make) => new Map(pairs.map(([name, value]) => [name, make(value, name)]));

function moduleLimit(value, name) {
  if (typeof value === 'object' && value !== null && typeof value.check !== 'function') {
    const { rate, ...options } = check.options(value, `limits.${name}`, ['rate', 'burst', 'key', 'cost']);
    return new Limit(rate, { ...options, name });
  }
  return new Limit(value, { name });
}

/** Everything one application has configured: its limits, breakers and queues. */
class TidegateRegistry {
  #limits;
  #breakers;
  #queues;
  /** The limits of each route: handler → controller → limits, innermost first. */
  #plans = new WeakMap();
  /** A decorator's limit, made once for all the routes that it stands over. */
  #decorated = new Map();

  constructor(options) {
    const given = check.options(options ?? {}, 'TidegateModule', OPTIONS);
    this.#limits = each(entries(given.limits, 'limits'), moduleLimit);
    this.#breakers = each(entries(given.breakers, 'breakers'), (settings, name) =>
      settings instanceof CircuitBreaker ? settings : new CircuitBreaker(name, settings),
    );
    this.#queues = each(entries(given.queues, 'queues'), (settings) =>
      settings instanceof BoundedQueue ? settings : new BoundedQueue(settings),
    );
    this.headers = given.headers ?? true;
    this.overloadStatus = check.whole(given.overloadStatus ?? 503, 'overloadStatus', 400, 599);
  }

  breaker(name) {
    return found(this.#breakers, name, 'circuit breaker', 'breakers');
  }

  queue(name) {
    return found(this.#queues, name, 'queue', 'queues');
  }

  limitsOf(controller, handler) {
    let byController = this.#plans.get(handler);
    if (byController === undefined) this.#plans.set(handler, (byController = new Map()));
    let limits = byController.get(controller);
    if (limits === undefined) byController.set(controller, (limits = this.#plan(controller, handler)));
    return limits;
  }

  #plan(controller, handler) {
    const skips = [...skipsOn(handler), ...skipsOn(controller)];
    if (skips.includes(undefined)) return [];
    const own = [...limitsOn(handler), ...limitsOn(controller)].map((description) => this.#make(description));
    // A route's limit takes the place of the application's limit of the same name.
    const names = own.map(({ name }) => name);
    const common = [...this.#limits.values()].filter(({ name }) => !names.includes(name));
    // The widest last: what a narrow limit refuses never touches it.
    return [...own, ...common].filter(({ name }) => !skips.includes(name));
  }

  #make(description) {
    let limit = this.#decorated.get(description);
    if (limit === undefined) {
      limit = new Limit(description.rate, description.options);
      this.#decorated.set(description, limit);
    }
    return limit;
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

module.exports = { TidegateRegistry, entries };
