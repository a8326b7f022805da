'use strict';
// Policy files: one TOML file for all objects of a service, in every language.

const { addon } = require('./native.cjs');
const { CircuitBreaker } = require('./breaker.cjs');
const { TokenBucket } = require('./bucket.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter } = require('./concurrency.cjs');
const { PolicyError } = require('./errors.cjs');
const { Gate, keyedBy } = require('./gate.cjs');
const { RateLimiter } = require('./limiter.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { LoadShedder } = require('./shed.cjs');
const { shown } = require('./show.cjs');

const SECTIONS = ['limits', 'concurrency', 'queues', 'shedders', 'breakers', 'gates'];
/** Who may construct one. */
const READ = Symbol('read');

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** Settings as the constructors take them: in camelCase, times in milliseconds. */
function optionsOf(given) {
  const option = ([name, value]) => {
    if (name.endsWith('_ns')) return [`${camel(name.slice(0, -3))}Ms`, Number(value) / 1e6];
    return [camel(name), name === 'block' ? optionsOf(value) : value];
  };
  const { warmUpMs, warmUpFrom, ...options } = Object.fromEntries(Object.entries(given).map(option));
  return warmUpMs === undefined ? options : { ...options, warmUp: { periodMs: warmUpMs, from: warmUpFrom } };
}

function none(section, name, known) {
  const names = Object.keys(known);
  const listed = ` of [${section}]; there are ${names.join(', ')}`;
  const there = names.length === 0 ? `; the policy has no [${section}]` : listed;
  return check.valueError(`name: ${check.show(name)} is none${there}`);
}

class Policy {
  #settings;
  #clock;
  #made = new Map();
  #read;

  constructor(read, clock, token) {
    if (token !== READ) throw check.typeError('a Policy is made by Policy.load(path) or Policy.parse(text)');
    if (read.length === 2) {
      const problems = JSON.parse(read[1]).map(({ hint, ...problem }) => ({ ...problem, hint: hint ?? undefined }));
      throw new PolicyError(read[0], problems);
    }
    const [settings, text, hash, scope] = read;
    this.#read = { text, hash, scope };
    this.#settings = JSON.parse(settings);
    this.#clock = clock;
  }

  static load(path, options = {}) {
    const { clock } = check.options(options, 'Policy.load', ['clock']);
    return new Policy(addon.policyLoad(check.text(path, 'path')), clock, READ);
  }

  static parse(text, options = {}) {
    const { clock } = check.options(options, 'Policy.parse', ['clock']);
    return new Policy(addon.policyParse(check.text(text, 'text')), clock, READ);
  }

  get scope() {
    return this.#read.scope;
  }

  get hash() {
    return this.#read.hash;
  }

  get text() {
    return this.#read.text;
  }

  names(section) {
    if (!SECTIONS.includes(section)) {
      throw check.valueError(`section: ${check.show(section)} is none of ${SECTIONS.join(', ')}`);
    }
    return Object.keys(this.#settings[section] ?? {});
  }

  limit(name) {
    return this.#get('limits', name, ({ key, tiers: _, ...options }) => {
      const Class = key === undefined ? TokenBucket : RateLimiter;
      return new Class({ ...options, ...this.#placed(name) });
    });
  }

  tier(limit, name) {
    const limiter = this.limit(limit);
    const tiers = this.#settings.limits[limit].tiers ?? {};
    if (!Object.hasOwn(tiers, name)) throw none(`limits.${limit}.tiers`, name, tiers);
    return limiter.tier(tiers[name]);
  }

  concurrency(name) {
    return this.#get('concurrency', name, ({ adaptive, ...options }) => {
      const { clock, ...placed } = this.#placed(name);
      // A limit that stays where it is has no clock.
      if (adaptive === undefined) return new ConcurrencyLimiter({ ...options, ...placed });
      return ConcurrencyLimiter.adaptive({ algorithm: adaptive, ...options, ...placed, ...(clock && { clock }) });
    });
  }

  queue(name) {
    return this.#get('queues', name, (options) => new BoundedQueue({ ...options, ...this.#timed() }));
  }

  shedder(name) {
    return this.#get('shedders', name, ({ signals, ...options }) => {
      const signal = ({ kind, start, full, queue, concurrency }) => {
        const read = queue !== undefined ? this.queue(queue) : concurrency && this.concurrency(concurrency);
        const range =
          kind === 'queue_delay' || kind === 'loop_lag'
            ? { startMs: start * 1e3, fullMs: full * 1e3 }
            : { start, full };
        return { kind: camel(kind), ...range, ...(read && { read }) };
      };
      return new LoadShedder({ signals: signals.map(signal), ...options, ...this.#placed(name) });
    });
  }

  breaker(name) {
    return this.#get('breakers', name, (options) => {
      const { name: _, ...placed } = this.#placed(name);
      return new CircuitBreaker(name, { ...options, ...placed });
    });
  }

  gate(name) {
    return this.#get('gates', name, ({ use = {}, ...options }) => {
      const named = (names, of) => Object.fromEntries(names.map((it) => [it, this[of](it)]));
      const { limits, dependencies, ...parts } = use;
      if (limits?.length > 0) options.limits = named(limits, 'limit');
      if (dependencies?.length > 0) options.dependencies = named(dependencies, 'breaker');
      for (const [kind, part] of Object.entries(parts)) options[kind] = named([part], kind);
      const gate = new Gate(name, options);
      keyedBy(gate, Object.fromEntries((limits ?? []).map((it) => [it, this.#settings.limits[it].key])));
      return gate;
    });
  }

  #get(section, name, make) {
    check.text(name, 'name');
    const given = this.#settings[section] ?? {};
    if (!Object.hasOwn(given, name)) throw none(section, name, given);
    const place = `${section}.${name}`;
    if (!this.#made.has(place)) this.#made.set(place, make(optionsOf(given[name])));
    return this.#made.get(place);
  }

  #timed() {
    // An arena has a clock of its own.
    return this.#clock === undefined || this.scope !== 'process' ? {} : { clock: this.#clock };
  }

  #placed(name) {
    const scope = this.scope;
    // What is private has no name to conflict under.
    return scope === 'process' ? { ...this.#timed(), scope, name } : { scope, name, onConflict: 'apply' };
  }
}

shown(Policy, (policy) => ({ scope: policy.scope, hash: policy.hash }));

module.exports = { Policy };
