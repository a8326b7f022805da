'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { addon, words, numbers } = require('./native.cjs');
const { throwIfAborted } = require('./abort.cjs');
const { inPlaceOf, verifyCallee } = require('./callee.cjs');
const check = require('./check.cjs');
const { errorFilter, resultFilter } = require('./classify.cjs');
const { nowMs, selectClock, sleep, turn } = require('./clock.cjs');
const { callAround } = require('./deadline.cjs');
const { discard, discardError } = require('./discard.cjs');
const { RetryBudgetExceededError, isRefusal } = require('./errors.cjs');
const { measured } = require('./measured.cjs');
const { thrownAfter } = require('./promise.cjs');
const { writeMode } = require('./quota.cjs');
const { isRetried, retryAfterMs } = require('./retryable.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS, choice, number } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { retryBudget, retryPolicy } = addon;
const { deposit, tryWithdraw } = retryBudget;

const BUDGET_FIELDS = Object.values(SETTINGS.retry_budget);
const BUDGET_OPTIONS = [...BUDGET_FIELDS.map(({ name }) => name), 'enabled', 'dryRun', 'clock', ...PLACE];
const FIELDS = Object.values(SETTINGS.retry);
const OPTIONS = [...FIELDS.map(({ name }) => name), 'budget', 'retryOn', 'clock'];
/** Where a generator is to be retried. */
const ADVICE = 'What it has given out cannot be taken back; retry the part that does the work';
/** What the core takes for "as often as the deadline lets". */
const WITHOUT_END = 2 ** 32 - 1;

let selectBudget;
let isBudget;

class RetryBudget {
  /** Its place in the addon's table. */
  #id;
  #name;
  #settings;

  static {
    isBudget = (value) => value !== null && typeof value === 'object' && #id in value;
    selectBudget = (self, method) => {
      if (!isBudget(self)) throw check.detached('RetryBudget', method);
      words[0] = self.#id;
    };
  }

  constructor(options = {}) {
    const given = check.options(options, 'new RetryBudget', BUDGET_OPTIONS);
    this.#settings = {};
    BUDGET_FIELDS.forEach((field, index) => {
      numbers[index] = number(field, given[field.name]);
      this.#settings[field.name] = numbers[index];
    });
    writeMode(given, BUDGET_FIELDS.length);
    this.#id = create(retryBudget.create, this, given).id;
    this.#name = given.name;
  }

  deposit() {
    selectBudget(this, 'deposit');
    deposit();
  }

  tryWithdraw() {
    selectBudget(this, 'tryWithdraw');
    tryWithdraw();
    return words[1] === 1;
  }

  get name() {
    selectBudget(this, 'name');
    return this.#name;
  }

  get balance() {
    return this.stats().balance;
  }

  get retryAfterMs() {
    selectBudget(this, 'retryAfterMs');
    retryBudget.retryAfter();
    return numbers[0];
  }

  stats() {
    selectBudget(this, 'stats');
    retryBudget.stats();
    return counted.retryBudget(numbers);
  }

  static {
    shown(this, (budget) => ({ name: budget.#name, ...budget.#settings, ...budget.stats() }));
  }
}

/** Among the options of `call`: `(waitMs)`, whether an attempt after it would be refused; may throw the refusal. */
const REFUSES = Symbol('tidegate.refuses');

/** The calls that have paid into a budget, the innermost first: `{ budget, around, isOver }`. */
const paid = new AsyncLocalStorage();

/** Pays in for a call, unless one around it has: each once, however many policies and clients are one in another. */
function pay(budget) {
  // What goes on when a call has ended is no part of it any more.
  for (let call = paid.getStore(); call !== undefined; call = call.around) {
    if (call.budget === budget && !call.isOver) return;
  }
  budget.deposit();
}

/**
 * The innermost call that is not over, with those around it alike. A call in which the next is started, such as by a
 * timer, hands on its context: without this each would keep all that were before.
 */
function open(call) {
  const first = notOver(call);
  for (let within = first; within !== undefined; within = within.around) within.around = notOver(within.around);
  return first;
}

function notOver(call) {
  while (call?.isOver) call = call.around;
  return call;
}

/** Pays for a call, if there is a budget. What `within` runs is in it until its `isOver`, and need not pay. */
function paying(budget, isFirst = true) {
  if (budget === undefined) return undefined;
  if (isFirst) pay(budget);
  return { budget, around: open(paid.getStore()), isOver: false };
}

function within(call, fn, receiver, args) {
  return call === undefined ? fn.apply(receiver, args) : paid.run(call, Reflect.apply, fn, receiver, args);
}

/** An attempt of a call whose loop is another's: the first pays in, and in none of them anybody else does. */
async function attemptWithin(budget, isFirst, fn) {
  const call = paying(budget, isFirst);
  try {
    return await paid.run(call, fn);
  } finally {
    call.isOver = true;
  }
}

let isPolicy;
let selectPolicy;
let delayOf;
let nextOf;
let retriesResults;
let withBudget;
let stepsOf;

class RetryPolicy {
  #id;
  #settings = {};
  #budget;
  #retryOn;
  /** Which results are retried; undefined: none. */
  #retryResult;
  #clock;
  /** The policy that has the place in the addon's table, where this is not it. */
  #origin;

  static {
    isPolicy = (value) => value !== null && typeof value === 'object' && #id in value;
    selectPolicy = (self, method) => {
      if (!isPolicy(self)) throw check.detached('RetryPolicy', method);
      words[0] = self.#id;
    };
  }

  constructor(options = {}) {
    const given = check.options(options, 'new RetryPolicy', OPTIONS);
    const { budget, retryOn, clock } = given;
    if (budget !== undefined && !isBudget(budget)) {
      throw check.typeError(`budget must be a RetryBudget, got ${check.show(budget)}`);
    }
    if (retryOn !== undefined) {
      this.#retryOn = errorFilter(retryOn, 'retryOn');
      this.#retryResult = resultFilter(retryOn);
    }
    FIELDS.forEach((field, index) => {
      const value = given[field.name];
      if (field.name === 'jitter') {
        numbers[index] = field.texts.indexOf(choice(field, value));
        this.#settings.jitter = field.texts[numbers[index]];
        return;
      }
      const isEndless = field.name === 'attempts' && value === Infinity;
      numbers[index] = isEndless ? WITHOUT_END : number(field, value);
      this.#settings[field.name] = Number.isNaN(numbers[index]) ? undefined : numbers[index];
    });
    if (this.#settings.attempts === WITHOUT_END) this.#settings.attempts = Infinity;
    // A policy has no clock in the addon. Its first wait would find out too late what is none.
    selectClock(clock);
    retryPolicy.create(this);
    this.#id = words[0];
    this.#clock = clock;
    this.#budget = budget;
  }

  /** The defaults of Python's stamina. */
  static stamina(options = {}) {
    return new this({ attempts: 10, deadlineMs: 45_000, ...options });
  }

  get budget() {
    selectPolicy(this, 'budget');
    return this.#budget;
  }

  async call(fn, options = undefined) {
    if (!isPolicy(this)) throw check.detached('RetryPolicy', 'call');
    verifyCallee(fn, ADVICE);
    const signal = options === undefined ? undefined : signalOf(options);
    const start = this.#begin(signal);
    const call = paying(this.#budget);
    // The first attempt stands here, and in `wrap`: another async function around it would cost what the rest does.
    try {
      let result;
      try {
        result = await (call === undefined ? fn() : within(call, fn, undefined, []));
      } catch (error) {
        const end = { error, failed: undefined };
        return await this.#again(end, start, signal, fn, undefined, [], call, options?.[REFUSES]);
      }
      const failed = this.#retryResult?.(result);
      if (!failed) return result;
      return await this.#again({ result, failed }, start, signal, fn, undefined, [], call, options?.[REFUSES]);
    } finally {
      if (call !== undefined) call.isOver = true;
    }
  }

  wrap(fn) {
    selectPolicy(this, 'wrap');
    verifyCallee(fn, ADVICE);
    const self = this;
    async function wrapped(...args) {
      const start = self.#begin(undefined);
      const call = paying(self.#budget);
      try {
        let result;
        try {
          result = await within(call, fn, this, args);
        } catch (error) {
          return await self.#again({ error, failed: undefined }, start, undefined, fn, this, args, call);
        }
        const failed = self.#retryResult?.(result);
        return failed ? await self.#again({ result, failed }, start, undefined, fn, this, args, call) : result;
      } finally {
        if (call !== undefined) call.isOver = true;
      }
    }
    return inPlaceOf(fn, wrapped);
  }

  *delays() {
    selectPolicy(this, 'delays');
    let previous = 0;
    for (let n = 0; n < this.#settings.attempts - 1; n += 1) {
      const [waitMs, next] = delayOf(this, n, previous, NaN);
      previous = next;
      yield waitMs;
    }
  }

  /** A call begins: gives the time where it matters. */
  #begin(signal) {
    throwIfAborted(signal);
    return this.#settings.deadlineMs === undefined ? 0 : nowMs(this.#clock);
  }

  /** The first attempt has failed: by an error, or by a result and what a Classifier says of it. */
  async #again(first, start, signal, fn, receiver, args, paidCall, refuses = undefined) {
    let [end, previous] = [first, 0];
    // Within a call that has a deadline, or a caller that may go away.
    const { deadline, call } = callAround();
    const around = call?.signal;
    for (let attempts = 1; ; attempts += 1) {
      const isEnded = signal?.aborted === true || around?.aborted === true;
      let next;
      try {
        next = this.#after(end, attempts, previous, start, deadline, isEnded, refuses);
      } catch (refusal) {
        // In place of the result: nobody else reads it.
        if (end.failed !== undefined) discard(end.result);
        throw refusal;
      }
      if (next === undefined) {
        if (end.failed === undefined) throw end.error;
        return end.result;
      }
      if (end.failed === undefined) discardError(end.error);
      else discard(end.result);
      previous = next[1];
      if (next[0] > 0) await sleep(next[0], this.#clock, signal, around === signal ? undefined : around);
      // Promises alone let nothing else run: no timer, no other request, nor the signal that would end this.
      else await turn();
      throwIfAborted(signal);
      throwIfAborted(around);
      let result;
      try {
        result = await within(paidCall, fn, receiver, args);
      } catch (error) {
        // A refusal of a later attempt tells nothing of the one before, which may have done its work.
        if (end.failed === undefined && isRefusal(error)) thrownAfter(end.error, error);
        end = { error, failed: undefined };
        continue;
      }
      const failed = this.#retryResult?.(result);
      if (!failed) return result;
      end = { result, failed };
    }
  }

  /** The wait before another attempt and what the next one takes as `previous`; undefined: there is none. */
  #after(end, attempts, previous, start, deadline, isEnded, refuses) {
    const { error, failed = !isEnded && judged(this.#retryOn, error) } = end;
    const mostMs = this.#settings.maxRetryAfterMs;
    const saidMs = failed?.retryAfterMs;
    const subject = end.failed === undefined ? error : end.result;
    const toldMs = (saidMs === undefined ? retryAfterMs(subject, mostMs) : Math.min(saidMs, mostMs)) ?? 0;
    const elapsed = this.#settings.deadlineMs === undefined ? 0 : Math.max(0, nowMs(this.#clock) - start);
    let next = failed && !isEnded ? nextOf(this, attempts, previous, toldMs, elapsed, NaN) : undefined;
    if (next !== undefined && deadline !== undefined && next[0] >= deadline.remainingMs) next = undefined;
    // What there is tells more than the refusal would.
    if (next !== undefined && isRefused(refuses, next[0], error)) next = undefined;
    const budget = this.#budget;
    // Before the wait: what is counted after it comes too late for all who wait now.
    if (next !== undefined && budget !== undefined && !budget.tryWithdraw()) {
      if (end.failed !== undefined) return undefined;
      throw exceeded(budget, attempts, toldMs, error);
    }
    if (next === undefined && end.failed === undefined) mark(error, attempts, toldMs);
    return next;
  }

  static {
    /** The wait before retry `n` and what the next call takes as `previous`; `draw`: NaN for a random one. */
    delayOf = (self, n, previous, draw) => {
      selectPolicy(self, 'delays');
      numbers[0] = n;
      numbers[1] = previous;
      numbers[2] = draw;
      retryPolicy.delay();
      return [numbers[0], numbers[1]];
    };
    /** The same for what follows a failed attempt; undefined: no further one. */
    nextOf = (self, attempts, previous, toldMs, elapsedMs, draw) => {
      selectPolicy(self, 'call');
      numbers[0] = attempts;
      numbers[1] = previous;
      numbers[2] = toldMs;
      numbers[3] = Math.min(elapsedMs, 1e13);
      numbers[4] = draw;
      retryPolicy.next();
      return words[1] === 1 ? [numbers[0], numbers[1]] : undefined;
    };
    /**
     * The parts of a call, for who makes the attempts elsewhere and waits without a promise. Each runs in `attempt`,
     * or the budget has what it pays out and nothing that pays in.
     */
    stepsOf = (self) => ({
      clock: self.#clock,
      begin: () => self.#begin(undefined),
      attempt: (isFirst, fn) => (self.#budget === undefined ? fn() : attemptWithin(self.#budget, isFirst, fn)),
      failed: (result) => self.#retryResult?.(result) || undefined,
      after: (end, attempts, previous, start) =>
        self.#after(end, attempts, previous, start, undefined, false, undefined),
    });
    retriesResults = (self) => self.#retryResult !== undefined;
    /** The same policy with a budget. */
    withBudget = (self, budget) => {
      const twin = new RetryPolicy();
      twin.#origin = self;
      twin.#id = self.#id;
      twin.#settings = self.#settings;
      twin.#budget = budget;
      twin.#retryOn = self.#retryOn;
      twin.#retryResult = self.#retryResult;
      twin.#clock = self.#clock;
      return twin;
    };
    shown(this, (policy) => ({ ...policy.#settings, budget: policy.#budget }));
  }
}

/** Whether an attempt after the wait would be refused: not slept for. `error`: of the attempt before. */
function isRefused(refuses, waitMs, error) {
  try {
    return refuses !== undefined && refuses(waitMs);
  } catch (refusal) {
    throw thrownAfter(error, refusal);
  }
}

/** Whether a filter names the error. */
function judged(filter, error) {
  try {
    return isRetried(filter, error);
  } catch (thrown) {
    throw thrownAfter(error, thrown);
  }
}

function exceeded(budget, attempts, toldMs, error) {
  const name = budget.name === undefined ? '' : ` ${JSON.stringify(budget.name)}`;
  const times = attempts === 1 ? '1 attempt' : `${attempts} attempts`;
  const waitMs = Math.max(toldMs, budget.retryAfterMs);
  return new RetryBudgetExceededError(`retry budget${name} is empty after ${times} of a call`, waitMs, attempts, error);
}

/** Tells on the last error how often, where it takes properties. */
function mark(error, attempts, toldMs) {
  if (error === null || typeof error !== 'object') return;
  const set = (key, value) => Object.defineProperty(error, key, { value, writable: true, configurable: true });
  try {
    if (!Object.isExtensible(error)) return;
    set('attempts', attempts);
    if (error.retryAfterMs === undefined) set('retryAfterMs', toldMs);
  } catch {
    // A property of its own that cannot be redefined, or a Proxy.
  }
}

function signalOf(options) {
  return check.signal(check.options(options, 'call', ['signal']).signal, 'call');
}

measured(RetryBudget, 'retryBudget', (self) => selectBudget(self, 'add'));

module.exports = {
  RetryBudget,
  REFUSES,
  pay,
  RetryPolicy,
  /** Whether it judges what a call returns. */
  retriesResults: (policy) => retriesResults(policy),
  stepsOf: (policy) => stepsOf(policy),
  withBudget: (policy, budget) => withBudget(policy, budget),
  /** For the vectors, which give the draw. */
  delayOf: (...given) => delayOf(...given),
  nextOf: (...given) => nextOf(...given),
};
