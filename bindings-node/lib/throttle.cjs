'use strict';

const { addon, words, numbers } = require('./native.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { errorFilter, isAnswered, isCancelled, isClassifier, resultFilter } = require('./classify.cjs');
const { ThrottledError, isRefusal, refusalOf } = require('./errors.cjs');
const { members } = require('./group.cjs');
const { measured } = require('./measured.cjs');
const { isPromise, thrownAfter } = require('./promise.cjs');
const { writeMode } = require('./quota.cjs');
const { isMistaken, isTransient } = require('./retryable.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS, number } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { throttle } = addon;

const FAILED = ['failure', 'unreached'];
/** Where a generator is to be called. */
const ADVICE = 'Ask with tryAcquire() before the part that calls the backend';
const FIELDS = Object.values(SETTINGS.throttle);
const OPTIONS = [...FIELDS.map(({ name }) => name), 'failureOn', 'enabled', 'dryRun', 'clock', ...PLACE];

/** One of a group is enough: that is what the backend did not bear. */
const hasTransient = (error) => members(error).some(isTransient);
/** No word of the backend's. */
const isNeutral = (error) => isCancelled(error) || isRefusal(error) || isMistaken(error);

let select;
let acquireWith;
let stepsOf;

class ClientThrottle {
  #id;
  #name;
  #isFailure = hasTransient;
  /** What says of an error that it means nothing; undefined: nobody. */
  #classifier;
  /** Which results are refusals; undefined: none. */
  #isFailedResult;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('ClientThrottle', method);
      words[0] = self.#id;
    };
    acquireWith = (self, draw) => {
      select(self, 'tryAcquire');
      numbers[0] = draw;
      throttle.tryAcquire();
      return words[1] === 1;
    };
    /** The parts of a call, for who makes it elsewhere. */
    stepsOf = (self) => ({
      admit: () => self.#admit(),
      error: (error) => self.#judge(error),
      result: (value) => self.#judgeResult(value),
    });
  }

  constructor(options = {}) {
    const given = check.options(options, 'new ClientThrottle', OPTIONS);
    if (given.failureOn !== undefined) {
      this.#isFailure = errorFilter(given.failureOn, 'failureOn');
      this.#isFailedResult = resultFilter(given.failureOn);
      if (isClassifier(given.failureOn)) this.#classifier = given.failureOn;
    }
    FIELDS.forEach((field, index) => {
      numbers[index] = number(field, given[field.name]);
    });
    writeMode(given, FIELDS.length);
    this.#id = create(throttle.create, this, given).id;
    this.#name = given.name;
  }

  tryAcquire() {
    return acquireWith(this, NaN);
  }

  accepted() {
    this.#report('accepted', 1);
  }

  refused() {
    this.#report('refused', 0);
  }

  #report(method, accepted) {
    select(this, method);
    words[1] = accepted;
    throttle.report();
  }

  call(fn, ...args) {
    select(this, 'call');
    return this.#run(verifyCallee(fn, ADVICE), undefined, args);
  }

  wrap(fn) {
    select(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    return inPlaceOf(fn, function (...args) {
      return self.#run(fn, this, args);
    });
  }

  #admit() {
    if (this.tryAcquire()) return;
    const name = this.#name === undefined ? '' : ` ${JSON.stringify(this.#name)}`;
    throw refusalOf(this, new ThrottledError(`client throttle${name} rejected a call`, this.retryAfterMs));
  }

  #run(fn, receiver, args) {
    this.#admit();
    let result;
    let isLater;
    try {
      result = fn.apply(receiver, args);
      // Here: a getter of what was returned may throw.
      isLater = isPromise(result);
    } catch (error) {
      this.#judge(error);
      throw error;
    }
    if (isLater) return this.#settle(result);
    this.#judgeResult(result);
    return result;
  }

  async #settle(promise) {
    let value;
    try {
      value = await promise;
    } catch (error) {
      this.#judge(error);
      throw error;
    }
    this.#judgeResult(value);
    return value;
  }

  #judgeResult(value) {
    let isFailure = true;
    try {
      isFailure = this.#isFailedResult?.(value);
    } finally {
      this.#report('call', isFailure ? 0 : 1);
    }
  }

  /** A predicate that itself throws counts as a refusal, and its error is thrown, with this one as its cause. */
  #judge(error) {
    if (members(error).every(isNeutral)) return;
    let isFailure = true;
    try {
      if (this.#classifier === undefined) {
        isFailure = Boolean(this.#isFailure(error));
        // Of a client of this program, and no word of the backend.
        if (!isFailure && members(error).every(isAnswered)) isFailure = undefined;
      } else {
        const { outcome } = this.#classifier.error(error);
        isFailure = outcome === 'ignore' || outcome === 'cancelled' ? undefined : FAILED.includes(outcome);
      }
    } catch (thrown) {
      throw thrownAfter(error, thrown);
    } finally {
      if (isFailure !== undefined) this.#report('call', isFailure ? 0 : 1);
    }
  }

  get name() {
    select(this, 'name');
    return this.#name;
  }

  get probability() {
    return this.stats().probability;
  }

  get retryAfterMs() {
    select(this, 'retryAfterMs');
    throttle.retryAfter();
    return numbers[0];
  }

  stats() {
    select(this, 'stats');
    throttle.stats();
    return counted.throttle(numbers);
  }
}

shown(ClientThrottle, (it) => ({ name: it.name, ...it.stats() }));

measured(ClientThrottle, 'throttle', (self) => select(self, 'add'));

module.exports = {
  ClientThrottle,
  stepsOf: (it) => stepsOf(it),
  /** For the vectors, which give the draw. */
  acquireWith: (...given) => acquireWith(...given),
};
