'use strict';
// What stands in for a call that failed.

const { throwIfAborted, unlessAborted } = require('./abort.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const { CircuitBreaker } = require('./breaker.cjs');
const { isCached } = require('./cached.cjs');
const check = require('./check.cjs');
const { errorFilter, isCancelled, isClassifier, resultFilter } = require('./classify.cjs');
const { callAround, throwIfEnded } = require('./deadline.cjs');
const { discard } = require('./discard.cjs');
const { ArenaError, CircuitOpenError, TidegateError } = require('./errors.cjs');
const { members } = require('./group.cjs');
const { complain, thrownAfter } = require('./promise.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { isMistaken, isTransient } = require('./retryable.cjs');
const { shown } = require('./show.cjs');

/** Where a generator is to be replaced. */
const ADVICE = 'What it has given out cannot be taken back; guard the part that does the work';
/** What there is, in the order in which it is tried. */
const KINDS = ['cached', 'static', 'alternatives', 'queue'];
const OPTIONS = [...KINDS, 'fallbackOn', 'order'];
/** What else an outcome's source can be. */
const TAKEN = ['primary', 'cache', 'static', 'queued'];

class Outcome {
  constructor(value, source, error = undefined, ageMs = undefined) {
    this.value = value;
    this.source = source;
    this.error = error;
    this.ageMs = ageMs;
  }
}

/** `{ name, call, breaker }`, or a function under its own name. */
function alternative(given) {
  if (typeof given !== 'function' && (given === null || typeof given !== 'object')) {
    throw check.typeError(`alternatives must hold functions, or objects with name and call, got ${check.show(given)}`);
  }
  const entry = typeof given === 'function' ? { name: given.name, call: given } : given;
  const { name, call, breaker } = check.options(entry, 'an alternative', ['name', 'call', 'breaker']);
  if (typeof name !== 'string' || name === '') {
    throw check.typeError(`an alternative must have a name, which is its outcomes' source, got ${check.show(name)}`);
  }
  if (TAKEN.includes(name)) throw check.valueError(`an alternative cannot be called '${name}': another source is`);
  verifyCallee(call, ADVICE);
  if (breaker !== undefined && !(breaker instanceof CircuitBreaker)) {
    throw check.typeError(`breaker of '${name}' must be a CircuitBreaker, got ${check.show(breaker)}`);
  }
  return { name, call, breaker: breaker ?? new CircuitBreaker(name) };
}

function alternativesOf(value) {
  if (!Array.isArray(value)) throw check.typeError(`alternatives must be an array, got ${check.show(value)}`);
  const all = value.map(alternative);
  const twice = all.find(({ name }, index) => all.findIndex((one) => one.name === name) !== index);
  if (twice !== undefined) throw check.valueError(`alternatives: two are called '${twice.name}'`);
  return all;
}

function orderOf(value, given) {
  if (value === undefined) return given;
  const isList = Array.isArray(value);
  if (!isList || value.length !== given.length || !given.every((kind) => value.includes(kind))) {
    const what = isList ? value.map(String).join(', ') : check.show(value);
    throw check.valueError(`order must name each of what is given once (${given.join(', ')}), got ${what}`);
  }
  return [...value];
}

const isOneRefused = (error) => error instanceof TidegateError && !(error instanceof ArenaError);
/** Of a group, all of its members. */
const isRefused = (error) => members(error).every(isOneRefused);
/** Default: the dependency failed, or somebody on the way to it refused. */
const isLack = (error) => members(error).every((one) => isOneRefused(one) || isTransient(one));

let verify;
let isFallback;
let runFallback;

class Fallback {
  #cached;
  #static;
  #alternatives;
  #queue;
  #order;
  #isFor = isLack;
  #isForResult;
  #primary = 0;
  #failures = 0;
  #unserved = 0;
  /** By source. */
  #served = {};

  static {
    isFallback = (value) => value !== null && typeof value === 'object' && #served in value;
    verify = (self, method) => {
      if (!isFallback(self)) throw check.detached('Fallback', method);
    };
    runFallback = (self, ...call) => self.#run(...call);
  }

  constructor(options) {
    const given = check.options(options, 'new Fallback', OPTIONS);
    const kinds = KINDS.filter((kind) => given[kind] !== undefined);
    if (kinds.length === 0) throw check.valueError(`new Fallback takes one of ${KINDS.join(', ')}, and got none`);
    if (given.cached !== undefined && !isCached(given.cached)) {
      throw check.typeError(`cached must be what cached({ maxAgeMs, key }) makes, got ${check.show(given.cached)}`);
    }
    if (given.queue !== undefined && !(given.queue instanceof BoundedQueue)) {
      throw check.typeError(`queue must be a BoundedQueue, got ${check.show(given.queue)}`);
    }
    this.#order = orderOf(given.order, kinds);
    this.#cached = given.cached;
    this.#static = given.static;
    this.#queue = given.queue;
    this.#alternatives = given.alternatives === undefined ? [] : alternativesOf(given.alternatives);
    if (given.fallbackOn !== undefined) this.#select(given.fallbackOn);
    const sources = { cached: 'cache', static: 'static', queue: 'queued' };
    for (const kind of kinds) if (kind in sources) this.#served[sources[kind]] = 0;
    for (const { name } of this.#alternatives) this.#served[name] = 0;
  }

  #select(fallbackOn) {
    const fits = errorFilter(fallbackOn, 'fallbackOn');
    // It has no word on refusals, which no call of the dependency ended with.
    const isJudged = [fallbackOn].flat(Infinity).some(isClassifier);
    this.#isFor = (error) => (isJudged && isRefused(error)) || fits(error);
    this.#isForResult = resultFilter(fallbackOn);
  }

  async call(fn, ...args) {
    verify(this, 'call');
    verifyCallee(fn, ADVICE);
    return this.#run(fn, undefined, args, () => fn(...args), undefined);
  }

  wrap(fn) {
    verify(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    return inPlaceOf(fn, async function (...args) {
      return self.#run(fn, this, args, () => fn.apply(this, args), undefined);
    });
  }

  /** Those of the alternatives, by name. */
  get breakers() {
    verify(this, 'breakers');
    return Object.fromEntries(this.#alternatives.map(({ name, breaker }) => [name, breaker]));
  }

  stats() {
    verify(this, 'stats');
    const fallback = { ...this.#served };
    return { primary: this.#primary, failures: this.#failures, fallback, unserved: this.#unserved };
  }

  /**
   * @param primary makes the call
   * @param later makes it when the queue is emptied
   */
  async #run(fn, receiver, args, primary, signal, later = primary) {
    const key = this.#cached?.keyOf(fn, receiver, args);
    let [value, error, hasFailed] = [undefined, undefined, false];
    try {
      value = await (key === undefined ? primary() : this.#cached.once(key, primary, signal));
    } catch (thrown) {
      if (!this.#isForError(thrown, signal)) throw thrown;
      [error, hasFailed] = [thrown, true];
    }
    if (!hasFailed && !this.#isForResult?.(value)) {
      if (key !== undefined) this.#cached.keep(key, value);
      this.#primary += 1;
      return new Outcome(value, 'primary');
    }
    this.#failures += 1;
    const { call } = callAround();
    for (const kind of this.#order) {
      // Whoever has been told an end must not find the call made, or queued, all the same.
      throwIfAborted(signal);
      throwIfEnded(call);
      const outcome = await unlessAborted(this.#from(kind, { error, receiver, args, key, signal, later }), signal);
      if (outcome === undefined) continue;
      this.#served[outcome.source] += 1;
      if (!hasFailed) discard(value);
      return outcome;
    }
    this.#unserved += 1;
    if (hasFailed) throw error;
    return new Outcome(value, 'primary');
  }

  /** Never the caller's own doing, nor a mistake of the program's. */
  #isForError(error, signal) {
    const isCallers = (one) =>
      isCancelled(one) || isMistaken(one) || (signal?.aborted === true && signal.reason === one);
    if (members(error).some(isCallers)) return false;
    try {
      return this.#isFor(error);
    } catch (thrown) {
      throw thrownAfter(error, thrown);
    }
  }

  async #from(kind, failed) {
    const { error, key, args, later } = failed;
    if (kind === 'cached') {
      const kept = this.#cached.look(key);
      return kept && new Outcome(kept.value, 'cache', error, kept.ageMs);
    }
    if (kind === 'alternatives') return this.#fromAlternatives(failed);
    if (kind === 'queue') {
      return this.#push({ call: later, args, error }) ? new Outcome(undefined, 'queued', error) : undefined;
    }
    if (typeof this.#static !== 'function') return new Outcome(this.#static, 'static', error);
    try {
      return new Outcome(await this.#static(error), 'static', error);
    } catch (thrown) {
      complain('static of a Fallback failed', thrown);
      return undefined;
    }
  }

  async #fromAlternatives({ error, receiver, args, signal }) {
    for (const { name, call, breaker } of this.#alternatives) {
      let value;
      try {
        value = await breaker.call(async () => call.apply(receiver, args));
      } catch (thrown) {
        if (thrown instanceof CircuitOpenError) continue;
        // An answer, if not the wanted one: a provider that declines has not failed.
        if (!this.#isForError(thrown, signal)) throw thrownAfter(error, thrown);
        continue;
      }
      if (!this.#isForResult?.(value)) return new Outcome(value, name, error);
      discard(value);
    }
    return undefined;
  }

  #push(item) {
    try {
      return this.#queue.tryPush(item);
    } catch (thrown) {
      // Of onDrop, when the item was in.
      complain('onDrop failed', thrown);
      return true;
    }
  }

  static {
    shown(this, (it) => ({ order: it.#order, ...it.stats() }));
  }
}

module.exports = {
  Fallback,
  Outcome,
  isFallback: (value) => isFallback(value),
  runFallback: (...given) => runFallback(...given),
};
