'use strict';
// Policy files: one TOML file for all objects of a service, in every language.

const { isDeepStrictEqual } = require('node:util');
const { addon } = require('./native.cjs');
const { CircuitBreaker } = require('./breaker.cjs');
const { TokenBucket } = require('./bucket.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter } = require('./concurrency.cjs');
const { Gate, tell } = require('./gate.cjs');
const { RateLimiter } = require('./limiter.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { Metrics, policies } = require('./metrics.cjs');
const { Change, Reloading, changed, errorOf } = require('./reload.cjs');
const { RetryBudget, RetryPolicy } = require('./retry.cjs');
const { LoadShedder } = require('./shed.cjs');
const { shown } = require('./show.cjs');

const SECTIONS = ['limits', 'concurrency', 'queues', 'shedders', 'breakers', 'gates'];
/** Who may construct one. */
const READ = Symbol('read');

/** What a breaker of the file may be given by `bind`, beside `retryOn` of its retry. */
const OF_BREAKER = ['failureOn', 'failureResult', 'slow', 'ignore', 'unreached', 'classifier'];
/** What is made for a breaker beside it. */
const OF_BREAKERS = ['retries', 'budgets'];
const NESTED = ['block', 'retry', 'budget'];

const isTime = (kind) => kind === 'queue_delay' || kind === 'loop_lag';

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** Settings as the constructors take them: in camelCase, times in milliseconds. */
function optionsOf(given) {
  const option = ([name, value]) => {
    if (name.endsWith('_ns')) return [`${camel(name.slice(0, -3))}Ms`, Number(value) / 1e6];
    return [camel(name), NESTED.includes(name) ? optionsOf(value) : value];
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

/** What adapters find in the file: what a gate's limits count by, and what calls are worth by route. */
function toldOf(settings, name) {
  const { use = {}, priority } = settings.gates[name];
  const keys = Object.fromEntries((use.limits ?? []).map((it) => [it, settings.limits[it].key]));
  return { keys, priority };
}

const defined = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** What of a shedder is changed in place: what a file leaves out is the default. */
function tuningOf(given) {
  const { signals, ...options } = optionsOf(given);
  const ranges = signals.map(({ kind, name = camel(kind), start, full }) => [
    name,
    isTime(kind) ? [start * 1e3, full * 1e3] : [start, full],
  ]);
  const left = { rise: null, fall: null, minAdmit: null, criticalAt: null, criticalAfterMs: null, coolOffMs: null };
  const tuned = Object.entries(options).filter(([name]) => Object.hasOwn(left, name));
  return { ...left, ...Object.fromEntries(tuned), ranges: Object.fromEntries(ranges) };
}

/** What a limit is as, as `setQuota` takes it. */
function quotaOf({ quota: { count: rate, periodMs: perMs, burst } }, algorithm) {
  if (algorithm === 'leaky_bucket') return { rate, perMs, queue: burst - 1 };
  const hasNone = ['sliding_log', 'sliding_window', 'fixed_window'].includes(algorithm);
  return hasNone ? { rate, perMs } : { rate, perMs, burst };
}

/** What was read, unless that is wrong. */
function right(read) {
  if (read.length === 2) throw errorOf(read);
  return read;
}

class Policy {
  /** The addon's: what it says, and what a reload would change. */
  #file;
  #settings;
  /** The same, and of names that left the file what it said last. */
  #known;
  #clock;
  /** Of all names that it ever had: a name is one object for ever, for many hold it. */
  #made = new Map();
  #bound = new Map();
  #read;
  #reloading;

  constructor(file, clock, token, reloading) {
    if (token !== READ) throw check.typeError('a Policy is made by Policy.load(path) or Policy.parse(text)');
    if (Array.isArray(file)) throw errorOf(file);
    this.#file = file;
    const [settings, text, hash, scope] = addon.policyTold(file);
    this.#read = { text, hash, scope, generation: 0 };
    this.#settings = JSON.parse(settings);
    this.#known = this.#settings;
    this.#clock = clock;
    this.#reloading = reloading;
    policies.set(this, {
      counted: () => this.#counted(),
      told: (tell) => tell(this.hash, this.generation, this.failedReloads),
    });
  }

  static load(path, options = {}) {
    const { clock } = check.options(options, 'Policy.load', ['clock']);
    check.text(path, 'path');
    // Looked at before it is read: what is written meanwhile is seen the next time.
    const reloading = new Reloading(path);
    return new Policy(addon.policyLoad(path), clock, READ, reloading);
  }

  static parse(text, options = {}) {
    const { clock } = check.options(options, 'Policy.parse', ['clock']);
    return new Policy(addon.policyParse(check.text(text, 'text')), clock, READ, new Reloading(undefined));
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

  get generation() {
    return this.#read.generation;
  }

  get failedReloads() {
    return this.#reloading.failed;
  }

  get inForce() {
    const found = addon.policyInForce(this.#file);
    return found ? { hash: found[0], generation: Number(found[1]) } : undefined;
  }

  reload(text) {
    if (text !== undefined) check.text(text, 'text');
    else this.#reloading.look();
    try {
      return this.#reload(text);
    } catch (error) {
      this.#reloading.failed += 1;
      throw error;
    }
  }

  reloadIfChanged() {
    return this.#reloading.isChanged() ? this.reload() : undefined;
  }

  watch(options) {
    return this.#reloading.watch(this, options);
  }

  reloadOn(signal = 'SIGHUP', options = {}) {
    return this.#reloading.reloadOn(this, signal, options);
  }

  metrics(format = 'prometheus') {
    return new Metrics({ policy: this }).render(format);
  }

  /** What is made and counts, by its name. A retry policy counts nothing, its budget does. */
  #counted() {
    const counted = [...this.#made].filter(([place]) => !place.startsWith('retries.') && this.#isThere(place));
    return counted.map(([place, object]) => {
      const [, name] = this.#placeOf(place);
      return [place.startsWith('budgets.') ? `${name}:retries` : name, object];
    });
  }

  bind(name, functions) {
    check.text(name, 'name');
    const { breakers = {}, shedders = {} } = this.#settings;
    let known;
    let place;
    if (Object.hasOwn(breakers, name)) {
      known = breakers[name].retry === undefined ? OF_BREAKER : [...OF_BREAKER, 'retryOn'];
      place = (own) => (own === 'retryOn' ? 'retries' : 'breakers');
    } else if (Object.hasOwn(shedders, name)) {
      known = shedders[name].signals.filter(({ kind }) => kind === 'gauge').map((it) => it.name);
      place = () => 'shedders';
    } else throw none('breakers] or [shedders', name, { ...breakers, ...shedders });
    const given = check.options(functions, 'bind', known);
    for (const [own, value] of Object.entries(given)) {
      if (place(own) === 'shedders') check.callable(value, own);
      if (this.#made.has(`${place(own)}.${name}`)) {
        throw check.valueError(`${own}: ${check.show(name)} is made already; bind before it is asked for`);
      }
    }
    this.#bound.set(name, { ...this.#bound.get(name), ...given });
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
      const gauges = this.#bound.get(name) ?? {};
      const signal = ({ kind, name: own, start, full, queue, concurrency }) => {
        const watched = queue !== undefined ? this.queue(queue) : concurrency && this.concurrency(concurrency);
        const read = own === undefined ? watched : gauges[own];
        const range = isTime(kind) ? { startMs: start * 1e3, fullMs: full * 1e3 } : { start, full };
        return { kind: camel(kind), ...(own && { name: own }), ...range, ...(read && { read }) };
      };
      return new LoadShedder({ signals: signals.map(signal), ...options, ...this.#placed(name) });
    });
  }

  breaker(name) {
    return this.#get('breakers', name, ({ retry: _, ...options }) => {
      const { name: _name, ...placed } = this.#placed(name);
      const { retryOn: _retryOn, ...functions } = this.#bound.get(name) ?? {};
      return new CircuitBreaker(name, { ...options, ...functions, ...placed });
    });
  }

  retry(name) {
    return this.#get('retries', name, ({ retry }) => {
      if (retry === undefined) {
        throw check.valueError(`name: the breaker ${check.show(name)} has no retry in the policy`);
      }
      const { budget, ...options } = retry;
      if (budget !== undefined) {
        options.budget = new RetryBudget({ ...budget, ...this.#placed(`${name}:retries`) });
        this.#made.set(`budgets.${name}`, options.budget);
      }
      const { retryOn } = this.#bound.get(name) ?? {};
      return new RetryPolicy({ ...options, ...(retryOn && { retryOn }), ...this.#timed() });
    });
  }

  gate(name) {
    return this.#get('gates', name, ({ use = {}, priority: _, ...options }) => {
      const named = (names, of) => Object.fromEntries(names.map((it) => [it, this[of](it)]));
      const { limits, dependencies, ...parts } = use;
      if (limits?.length > 0) options.limits = named(limits, 'limit');
      if (dependencies?.length > 0) options.dependencies = named(dependencies, 'breaker');
      for (const [kind, part] of Object.entries(parts)) options[kind] = named([part], kind);
      const gate = new Gate(name, options);
      tell(gate, toldOf(this.#settings, name));
      return gate;
    });
  }

  #reload(text) {
    const [told, toml, hash, changes] = right(addon.policyReadAgain(this.#file, text));
    const [before, after] = [this.#settings, JSON.parse(told)];
    const undo = [];
    let generation;
    const { inForce } = this;
    // Then objects are as another process's file says.
    const isOther = inForce !== undefined && inForce.hash !== this.hash;
    try {
      for (const [section, name, returns] of changed(before, this.#known, after, isOther)) {
        const steps = this.#steps(section, name, returns, isOther, this.#known[section][name], after[section][name]);
        if (steps === undefined) continue;
        const [forth, back] = steps;
        // Before: it may be half done.
        undo.push(back);
        try {
          forth();
        } catch (error) {
          throw errorOf(addon.policyProblem(this.#file, section, name, error.message), error);
        }
      }
      generation = Number(right(addon.policyAccept(this.#file))[0]);
    } catch (error) {
      undo.reverse().forEach((back) => back());
      throw error;
    }
    this.#read = { ...this.#read, text: toml, hash, generation };
    this.#settings = after;
    const of = (section) => [section, { ...this.#known[section], ...after[section] }];
    this.#known = { ...after, ...Object.fromEntries(SECTIONS.map(of)) };
    for (const [place, made] of this.#made) {
      const [section, name] = this.#placeOf(place);
      if (section === 'gates' && this.#isThere(place)) tell(made, toldOf(after, name));
    }
    return { changes: JSON.parse(changes).map(Change.of), generation };
  }

  /** How an object is changed, and changed back; undefined: there is nothing to change in it. */
  #steps(section, name, returns, isOther, ...given) {
    // Of a name that comes back the policy in force says nothing yet.
    const made = this.#made.get(`${section}.${name}`);
    // It will be made of what the file says now.
    if (returns && made === undefined) return undefined;
    // Who held it, or another process, may have changed it: it is given all that the file says.
    const isUnsure = returns || isOther;
    // One that nobody has asked for is made first: others may have it, in an arena.
    if (section === 'limits') {
      const [old, now] = given.map(optionsOf).map(({ rate, burst, queue }) => defined({ rate, burst, queue }));
      if (isDeepStrictEqual(old, now) && !isUnsure) return undefined;
      const limit = made ?? this.limit(name);
      const found = isOther ? quotaOf(limit, given[1].algorithm) : old;
      return [() => limit.setQuota(now), () => limit.setQuota(found)];
    }
    if (section === 'concurrency') {
      const limiter = made ?? this.concurrency(name);
      // A file that says nothing of its room leaves it.
      const put = (own, other) => {
        if (own.limit !== other.limit || (isUnsure && own.limit !== undefined)) limiter.setLimit(own.limit);
        const hasOthers = !isDeepStrictEqual(own.partitions, other.partitions);
        if (hasOthers || (isUnsure && own.partitions !== undefined)) limiter.setShares(own.partitions);
      };
      const [old, now] = given;
      const found = isOther
        ? defined({ limit: now.limit && limiter.limit, partitions: now.partitions && limiter.shares })
        : old;
      return [() => put(now, found), () => put(found, now)];
    }
    if (section === 'shedders') {
      if (made === undefined) return undefined;
      const [old, now] = given.map(tuningOf);
      return [() => made.setConfig(now), () => made.setConfig(old)];
    }
    const [old, now] = given.map(optionsOf).map(({ retry: _, ...own }) => own);
    if (isDeepStrictEqual(old, now) && !isUnsure) return undefined;
    const breaker = made ?? this.breaker(name);
    // What one of them leaves out is its default there.
    const found = isOther ? breaker.config : old;
    const left = Object.fromEntries(Object.keys({ ...old, ...found, ...now }).map((it) => [it, null]));
    return [() => breaker.setConfig({ ...left, ...now }), () => breaker.setConfig({ ...left, ...found })];
  }

  /** Whether the file has what was made. */
  #isThere(place) {
    const [section, name] = this.#placeOf(place);
    return Object.hasOwn(this.#settings[section] ?? {}, name);
  }

  #placeOf(place) {
    const dot = place.indexOf('.');
    const section = place.slice(0, dot);
    return [OF_BREAKERS.includes(section) ? 'breakers' : section, place.slice(dot + 1)];
  }

  #get(section, name, make) {
    check.text(name, 'name');
    const [of] = this.#placeOf(`${section}.`);
    const given = this.#settings[of] ?? {};
    if (!Object.hasOwn(given, name)) throw none(of, name, given);
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
    if (scope === 'process') return { ...this.#timed(), scope, name };
    const onConflict = addon.policyOnConflict(this.#file);
    return { scope, name, onConflict: right(onConflict)[0] };
  }
}

shown(Policy, (policy) => ({ scope: policy.scope, hash: policy.hash, generation: policy.generation }));

module.exports = { Policy };
