'use strict';

const { types } = require('node:util');
const { addon, words, numbers, bits } = require('./native.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { measured } = require('./measured.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');
const { tripAt } = require('./trip.cjs');
const { disposable } = require('./dispose.cjs');
const { isPromise, thrownAfter } = require('./promise.cjs');
const { Classifier, isClassifier, readsResults, slowFrom } = require('./classify.cjs');
const { CircuitOpenError, refusalOf } = require('./errors.cjs');
const { listen, unlisten } = require('./events.cjs');
const { create } = require('./scope.cjs');
const { NAMES, SETTINGS, number } = require('./settings.cjs');

const { breaker } = addon;
const { acquire, acquireTimed } = breaker;

const { states: STATES, events: EVENTS } = NAMES;

/** In the core's order, which is that of `config` in src/breaker.rs. */
const FIELDS = Object.values(SETTINGS.breaker);
/** What makes a classifier of its own, instead of one that is given. */
const FILTERS = ['failureOn', 'failureResult', 'slow', 'ignore', 'unreached'];
const SETTING_NAMES = FIELDS.map(({ name }) => name);
const OPTIONS = [...SETTING_NAMES, 'countOverdue', ...FILTERS, 'classifier', 'scope', 'onConflict', 'clock'];

/** Where a generator is to be guarded. */
const ADVICE = 'Take a permit with acquire() around the part that calls the dependency';

/** The classifier of a breaker's options. */
function classifierOf(options) {
  const { classifier } = options;
  const given = FILTERS.filter((name) => options[name] !== undefined);
  if (classifier === undefined) return new Classifier(Object.fromEntries(given.map((name) => [name, options[name]])));
  if (!isClassifier(classifier)) {
    throw check.typeError(`classifier must be a Classifier, such as http(), got ${check.show(classifier)}`);
  }
  if (given.length > 0) throw check.valueError(`give classifier or ${given[0]}, not both: a Classifier has its own`);
  return classifier;
}

/** Checked by their names. */
const settingsOf = (settings, what) => check.options(settings, what, [...SETTING_NAMES, 'countOverdue']);

/** Writes all settings, and after them, if it is of changes, which are given, by their bits: the others stay. */
function writeSettings(options, isChange = false) {
  const { windowCalls, windowDurationMs } = options;
  if (windowCalls !== undefined && windowDurationMs !== undefined) {
    throw check.valueError('give windowCalls or windowDurationMs, not both: a breaker has one window');
  }
  FIELDS.forEach((field, index) => {
    numbers[index] = number(field, options[field.name] ?? undefined);
  });
  if (!isChange) return;
  const bits = SETTING_NAMES.map((name, i) => (options[name] === undefined ? 0 : 1 << i));
  numbers[FIELDS.length] = bits.reduce((all, bit) => all | bit, 0);
}

/** `countOverdue` as a number; NaN: it is not given. Nothing by name, as of a setting, is what holds without it. */
function overdueOf(value) {
  if (value === undefined) return NaN;
  if (value !== null && typeof value !== 'boolean') {
    throw check.typeError(`countOverdue must be a boolean, got ${check.show(value)}`);
  }
  return value ? 1 : 0;
}

/** `countOverdue`, which is of an instance and no setting of the core; `slowMs`: from when on a call is slow. */
function isOverdueCounted(given, slowMs) {
  const value = overdueOf(given) === 1;
  if (value && (slowMs === undefined || slowMs === null)) {
    throw check.valueError('countOverdue: without slowCallDurationMs no call is overdue; give one, such as 2000');
  }
  return value;
}

/** What tells how a call ended, for `breakerOf`: of the options of a constructor. */
function classifying(given) {
  const classifier = classifierOf(given);
  const isOwn = [...FILTERS, 'classifier'].some((name) => given[name] !== undefined);
  return { classifier, isOwn, countsOverdue: isOverdueCounted(given.countOverdue, given.slowCallDurationMs) };
}

/** Stands in place of a name: the options are what `breakerOf` was given. */
const TAKEN = Symbol('taken');

/** A breaker of a registry: `take` gives the place and the name of what it made the instance of. */
function breakerOf({ classifier, isOwn }, take) {
  const taken = { classifier, isOwn, take };
  return { breaker: new CircuitBreaker(TAKEN, taken), id: taken.id };
}

function kindOf(kind) {
  if (EVENTS.includes(kind)) return kind;
  throw check.valueError(`kind must be one of ${EVENTS.join(', ')}, got ${check.show(kind)}`);
}

/** What `classify` says of a call's end. What it throws reaches the caller, and the call is a failure. */
function classified(permit, error, classify) {
  try {
    return classify();
  } catch (thrown) {
    // Every permit is reported, or a probe stays taken.
    permit.failure();
    throw thrownAfter(error, thrown);
  }
}

/** Reports how the call ended; `durationMs` undefined: now. */
function settled(permit, { outcome, retryAfterMs }, durationMs = undefined) {
  if (outcome === 'cancelled') permit.release();
  else if (outcome === 'ignore') permit.ignore();
  else if (outcome === 'failure') permit.failure(durationMs, retryAfterMs);
  else permit[outcome](durationMs);
}

/** Reports a call that is over, and was a success by this classifier, which may call it slow. */
function succeeded(permit, classifier) {
  if (classifier !== undefined && tookMs(permit, classifier, undefined) >= slowFrom(classifier)) permit.slow();
  else permit.success();
}

/** How long the call took, for the classifier that asks; undefined: it does not, or the permit does not know. */
const tookMs = (permit, classifier, durationMs) =>
  durationMs ?? (slowFrom(classifier) === undefined ? undefined : took(permit));

/** A permit that knows how long ago it was acquired: for a classifier that is not the breaker's. */
function acquireFor(owner, classifier) {
  return classifier === undefined || slowFrom(classifier) === undefined ? owner.acquire() : timed(owner);
}

let select;
let judge;
let judgeResult;
let ownClassifier;
let outcomeOf;
let timed;
let took;

class CircuitBreaker {
  /** Its place in the addon's table. */
  #id;
  #name;
  #classifier;
  /** Whether the application chose it. */
  #isOwn;
  #readsResults;
  /** How it acquires: with the time, where its classifier asks how long a call took. */
  #acquire;

  static {
    outcomeOf = (self, error) => self.#classifier.error(error).outcome;
    ownClassifier = (self) => (self.#isOwn ? self.#classifier : undefined);
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('CircuitBreaker', method);
      words[0] = self.#id;
    };
    judge = (self, permit, error, durationMs) => {
      const took = tookMs(permit, self.#classifier, durationMs);
      settled(permit, classified(permit, error, () => self.#classifier.error(error, took)), durationMs);
    };
    judgeResult = (self, permit, result, durationMs) => {
      if (self.#readsResults || self.#acquire !== acquire) {
        const took = tookMs(permit, self.#classifier, durationMs);
        settled(permit, classified(permit, undefined, () => self.#classifier.result(result, took)), durationMs);
      } else permit.success(durationMs);
    };
    timed = (self) => {
      select(self, 'acquire');
      acquireTimed();
      if (words[1] === 1) return new Permit(self);
      throw self.#refused();
    };
  }

  constructor(name, options = {}) {
    if (name === TAKEN) {
      this.#classifier = options.classifier;
      this.#isOwn = options.isOwn;
      this.#readsResults = readsResults(options.classifier);
      this.#acquire = slowFrom(options.classifier) === undefined ? acquire : acquireTimed;
      const taken = options.take(this);
      options.id = this.#id = taken.id;
      this.#name = taken.name;
      return;
    }
    if (typeof name !== 'string' || name === '') {
      throw check.typeError(`a breaker's name must be a text that is not empty, got ${check.show(name)}`);
    }
    const given = check.options(options, 'new CircuitBreaker', OPTIONS);
    const { classifier, isOwn, countsOverdue } = classifying(given);
    [this.#classifier, this.#isOwn] = [classifier, isOwn];
    this.#readsResults = readsResults(this.#classifier);
    this.#acquire = slowFrom(this.#classifier) === undefined ? acquire : acquireTimed;
    writeSettings(given);
    this.#id = create(breaker.create, this, { ...given, name }, name).id;
    this.#name = name;
    if (countsOverdue) this.#countOverdue(true);
  }

  #countOverdue(isOn) {
    select(this, 'setConfig');
    numbers[0] = isOn ? 1 : 0;
    breaker.countOverdue();
  }

  get name() {
    select(this, 'name');
    return this.#name;
  }

  tryAcquire() {
    select(this, 'tryAcquire');
    this.#acquire();
    return words[1] === 1 ? new Permit(this) : null;
  }

  acquire() {
    select(this, 'acquire');
    this.#acquire();
    if (words[1] === 1) return new Permit(this);
    throw this.#refused();
  }

  acquireWith(draw) {
    select(this, 'acquireWith');
    numbers[0] = check.fraction(draw, 'draw');
    breaker.acquireWith();
    if (words[1] === 1) return new Permit(this);
    throw this.#refused();
  }

  #refused() {
    const [retryAfterMs, ramping] = [numbers[0], numbers[5] === 1];
    return refusalOf(this, new CircuitOpenError(this.#name, retryAfterMs, tripAt(numbers, 1), ramping));
  }

  call(fn, ...args) {
    select(this, 'call');
    if (types.isAsyncFunction(verifyCallee(fn, ADVICE))) return callAsync(this, fn, undefined, args);
    return callAny(this, fn, undefined, args);
  }

  wrap(fn) {
    select(this, 'wrap');
    const self = this;
    const wrapped = types.isAsyncFunction(verifyCallee(fn, ADVICE))
      ? // As in `callAsync`, whose promise another async function would only wait for: three turns of the queue.
        async function (...args) {
          const permit = self.acquire();
          let value;
          try {
            value = await fn.apply(this, args);
          } catch (error) {
            judge(self, permit, error);
            throw error;
          }
          judgeResult(self, permit, value);
          return value;
        }
      : function (...args) {
          return callAny(self, fn, this, args);
        };
    return inPlaceOf(fn, wrapped);
  }

  get state() {
    select(this, 'state');
    breaker.state();
    return STATES[words[1]];
  }

  get retryAfterMs() {
    select(this, 'retryAfterMs');
    breaker.retryAfter();
    return numbers[0];
  }

  stats() {
    select(this, 'stats');
    breaker.stats();
    return counted.breaker(numbers);
  }

  get config() {
    select(this, 'config');
    breaker.config();
    // NaN is "none"; of the two windows it has one.
    const settings = FIELDS.map(({ name }, i) => [name, Number.isNaN(numbers[i]) ? null : numbers[i]]);
    const countOverdue = words[1] === 1;
    const own = settings.filter(([name, value]) => value !== null || !name.startsWith('window'));
    return { ...Object.fromEntries(own), countOverdue };
  }

  events(since = 0) {
    select(this, 'events');
    numbers[0] = check.whole(since, 'since', 0, Number.MAX_SAFE_INTEGER);
    const flat = breaker.events();
    const events = [];
    for (let i = 0; i < flat.length; i += 7) {
      events.push({ seq: flat[i], kind: EVENTS[flat[i + 1]], atMs: flat[i + 2], trip: tripAt(flat, i + 3) });
    }
    return events;
  }

  on(kind, listener) {
    select(this, 'on');
    listen(this, kindOf(kind), check.callable(listener, 'listener'), false);
    return this;
  }

  once(kind, listener) {
    select(this, 'once');
    listen(this, kindOf(kind), check.callable(listener, 'listener'), true);
    return this;
  }

  off(kind, listener) {
    select(this, 'off');
    unlisten(this, kindOf(kind), check.callable(listener, 'listener'));
    return this;
  }

  forceOpen() {
    select(this, 'forceOpen');
    breaker.forceOpen();
  }

  disable() {
    select(this, 'disable');
    breaker.disable();
  }

  setConfig(changes) {
    const given = settingsOf(changes, 'setConfig');
    const { config } = this;
    const wanted = (name) => (given[name] === undefined ? config[name] : given[name]);
    const isOn = isOverdueCounted(wanted('countOverdue'), wanted('slowCallDurationMs'));
    writeSettings(given, true);
    select(this, 'setConfig');
    breaker.setConfig();
    this.#countOverdue(isOn);
  }

  metricsOnly() {
    select(this, 'metricsOnly');
    breaker.metricsOnly();
  }

  reset() {
    select(this, 'reset');
    breaker.reset();
  }
}

/** For a function that may answer with a promise or not. */
function callAny(self, fn, receiver, args) {
  const permit = self.acquire();
  let result;
  let isLater;
  try {
    result = fn.apply(receiver, args);
    // Here: a getter of what was returned may throw.
    isLater = isPromise(result);
  } catch (error) {
    judge(self, permit, error);
    throw error;
  }
  if (isLater) return settle(self, permit, result);
  judgeResult(self, permit, result);
  return result;
}

async function callAsync(self, fn, receiver, args) {
  const permit = self.acquire();
  let value;
  try {
    value = await fn.apply(receiver, args);
  } catch (error) {
    judge(self, permit, error);
    throw error;
  }
  judgeResult(self, permit, value);
  return value;
}

async function settle(self, permit, promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    judge(self, permit, error);
    throw error;
  }
  judgeResult(self, permit, value);
  return value;
}

/** What a report has no use for is no report: a Retry-After is a failure's. */
const tooMuch = (method, taken) =>
  check.typeError(`permit.${method}(${taken}) takes no more; permit.failure(durationMs, retryAfterMs) does`);

class Permit {
  /** The breaker, until the one report that counts. */
  #breaker;
  #a = bits[0];
  #b = bits[1];
  #c = bits[2];
  #d = bits[3];

  constructor(owner) {
    this.#breaker = owner;
  }

  static {
    took = (permit) => {
      const owner = permit.#breaker;
      if (owner === null) return undefined;
      select(owner, 'acquire');
      permit.#name();
      breaker.took();
      return Number.isNaN(numbers[0]) ? undefined : numbers[0];
    };
  }

  #name() {
    bits[0] = this.#a;
    bits[1] = this.#b;
    bits[2] = this.#c;
    bits[3] = this.#d;
  }

  /** Names breaker and permit for the next operation; false when this permit has been reported. */
  #take(method) {
    const owner = this.#breaker;
    if (owner === null) return false;
    select(owner, method);
    this.#breaker = null;
    this.#name();
    return true;
  }

  success(durationMs = undefined) {
    const duration = durationMs === undefined ? NaN : check.span(durationMs, 'durationMs');
    if (arguments.length > 1) throw tooMuch('success', 'durationMs');
    if (!this.#take('success')) return;
    numbers[0] = duration;
    breaker.success();
  }

  failure(durationMs = undefined, retryAfterMs = undefined) {
    const duration = durationMs === undefined ? NaN : check.span(durationMs, 'durationMs');
    const retryAfter = retryAfterMs === undefined ? NaN : check.span(retryAfterMs, 'retryAfterMs');
    if (!this.#take('failure')) return;
    numbers[0] = duration;
    numbers[1] = retryAfter;
    breaker.failure();
  }

  slow(durationMs = undefined) {
    const duration = durationMs === undefined ? NaN : check.span(durationMs, 'durationMs');
    if (arguments.length > 1) throw tooMuch('slow', 'durationMs');
    if (!this.#take('slow')) return;
    numbers[0] = duration;
    breaker.slow();
  }

  result(value, durationMs = undefined) {
    if (durationMs !== undefined) check.span(durationMs, 'durationMs');
    const owner = this.#breaker;
    if (owner !== null) judgeResult(owner, this, value, durationMs);
  }

  error(error, durationMs = undefined) {
    if (durationMs !== undefined) check.span(durationMs, 'durationMs');
    const owner = this.#breaker;
    if (owner !== null) judge(owner, this, error, durationMs);
  }

  unreached(durationMs = undefined) {
    const duration = durationMs === undefined ? NaN : check.span(durationMs, 'durationMs');
    if (arguments.length > 1) throw tooMuch('unreached', 'durationMs');
    if (!this.#take('unreached')) return;
    numbers[0] = duration;
    breaker.unreached();
  }

  ignore() {
    if (arguments.length > 0) throw tooMuch('ignore', '');
    if (this.#take('ignore')) breaker.ignore();
  }

  release() {
    if (this.#take('release')) breaker.release();
  }
}

// `using permit = breaker.acquire()`: leaving the block without a report is a cancelled call.
disposable(Permit);

shown(CircuitBreaker, (circuit) => ({
  name: circuit.name,
  state: circuit.state,
  retryAfterMs: circuit.retryAfterMs,
  stats: circuit.stats(),
}));

measured(CircuitBreaker, 'breaker', (self) => select(self, 'add'));

module.exports = {
  breakerPlace: (it) => {
    select(it, 'dependencies');
    return words[0];
  },
  BREAKER: FIELDS,
  CircuitBreaker,
  OPTIONS,
  breakerOf,
  classifying,
  overdueOf,
  settingsOf,
  writeSettings,
  Permit,
  acquireFor,
  classified,
  settled,
  succeeded,
  outcomeOf: (breaker, error) => outcomeOf(breaker, error),
  /** The classifier that the application chose; undefined: it chose none. */
  ownClassifier: (breaker) => ownClassifier(breaker),
};
