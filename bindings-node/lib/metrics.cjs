'use strict';
// Figures for Prometheus and its kin: what objects count, as a scrape reads it.

const { addon, words, numbers } = require('./native.cjs');
const { tell } = require('./answer.cjs');
const check = require('./check.cjs');
const { kindOf, names } = require('./measured.cjs');
const { open, placeOf } = require('./scope.cjs');
const { shown } = require('./show.cjs');

const { metrics: native } = addon;

/** What it can be called by: a breaker's own name, the name in a scope. */
const ownName = (object) => placeOf(object)?.name ?? (typeof object.name === 'string' ? object.name : undefined);

const keyOf = (kind, place, name) => JSON.stringify([kind.Class.name, place?.scope, name]);

/** By policy: `counted()` gives what it has made, with names, `told(tell)` what is said of its reloads. */
const policies = new WeakMap();

function figuresOf(policy) {
  const found = policies.get(policy);
  if (found === undefined) throw check.typeError(`policy must be a Policy, got ${check.show(policy)}`);
  return found;
}

let pageOf;

class Metrics {
  /** By class, scope and name. */
  #objects = new Map();
  #arena;
  /** What a policy tells of itself. */
  #policy;

  static {
    pageOf = (self, method, format) => {
      if (self === null || typeof self !== 'object' || !(#objects in self)) throw check.detached('Metrics', method);
      native.begin();
      const objects = new Map(self.#objects);
      for (const [name, object] of self.#policy?.counted() ?? []) {
        const [kind, place] = [kindOf(object), placeOf(object)];
        const key = keyOf(kind, place, place?.name ?? name);
        objects.set(key, { kind, object, name: place?.name ?? name, scope: place?.scope });
      }
      for (const { kind, object, name, scope } of objects.values()) {
        kind.select(object);
        kind.read(undefined, name, scope);
      }
      self.#policy?.told((hash, reloaded, failed) => {
        numbers[0] = reloaded;
        numbers[1] = failed;
        native.policy(undefined, hash);
      });
      if (self.#arena !== undefined) {
        words[0] = self.#arena;
        native.arena();
      }
      return native.render(undefined, format);
    };
  }

  constructor(options = {}) {
    const { scope, policy } = check.options(options, 'new Metrics', ['scope', 'policy']);
    if (policy !== undefined) this.#policy = figuresOf(policy);
    this.#arena = open(native.open, this, scope ?? policy?.scope);
    this.handler = this.handler.bind(this);
  }

  add(object, options = {}) {
    if (!(#objects in this)) throw check.detached('Metrics', 'add');
    const kind = kindOf(object);
    if (kind === undefined) {
      throw check.typeError(`object must be one of ${names().join(', ')}, got ${check.show(object)}`);
    }
    const { name: given } = check.options(options, 'add', ['name']);
    if (given !== undefined && check.text(given, 'name') === '') {
      throw check.valueError('name: must not be empty: Prometheus takes that for no label');
    }
    const place = placeOf(object);
    const name = place?.name ?? given ?? ownName(object);
    const type = kind.Class.name;
    if (name === undefined) throw check.valueError(`name: this ${type} has none for its label; give it one`);
    const key = keyOf(kind, place, name);
    const known = this.#objects.get(key);
    // What lives in a named scope is one object, however many opened it.
    if (known !== undefined && known.object !== object && place === undefined) {
      const taken = `${check.show(name)} is the name of another ${type} here; each needs one of its own`;
      throw check.valueError(`name: ${taken}`);
    }
    this.#objects.set(key, { kind, object, name, scope: place?.scope });
    return this;
  }

  render(format = 'prometheus') {
    return pageOf(this, 'render', check.text(format, 'format'));
  }

  contentType(format = 'prometheus') {
    return native.contentType(undefined, check.text(format, 'format')).split('\n')[1];
  }

  families() {
    return JSON.parse(pageOf(this, 'families', 'json'));
  }

  handler(request, response) {
    const { method = 'GET' } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      tell(request, response, 405, 'text/plain', '', { Allow: 'GET, HEAD' });
      return;
    }
    const [format, type] = native.contentType(undefined, undefined, request.headers?.accept).split('\n');
    tell(request, response, 200, type, pageOf(this, 'handler', format));
  }

  static {
    const one = ({ kind, name }) => `${kind.Class.name} ${name}`;
    shown(this, (it) => ({ objects: [...it.#objects.values()].map(one) }));
  }
}

/** Name, type and help of every family. */
function families() {
  const lines = native.families().split('\n');
  return Array.from({ length: lines.length / 3 }, (_, at) => {
    const [name, type, help] = lines.slice(3 * at, 3 * at + 3);
    return { name, type, help };
  });
}

/** One collection of another library asks for each family in turn: what it read first serves the others. */
const FRESH_MS = 100;

/** The values of one collection, by family. */
class Collection {
  #metrics;
  #readAt = -Infinity;
  #families = new Map();

  constructor(metrics) {
    if (!(metrics instanceof Metrics)) throw check.typeError(`metrics must be a Metrics, got ${check.show(metrics)}`);
    this.#metrics = metrics;
  }

  of(family) {
    const now = performance.now();
    if (now - this.#readAt > FRESH_MS) {
      this.#families = new Map(this.#metrics.families().map(({ name, samples }) => [name, samples]));
      this.#readAt = now;
    }
    return this.#families.get(family) ?? [];
  }
}

module.exports = { Collection, Metrics, families, policies };
