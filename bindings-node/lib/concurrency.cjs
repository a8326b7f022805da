'use strict';

const { addon, words, numbers, bits } = require('./native.cjs');
const { throwIfAborted } = require('./abort.cjs');
const { verifyCalled } = require('./callee.cjs');
const check = require('./check.cjs');
const { nowMs } = require('./clock.cjs');
const { measured } = require('./measured.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');
const { disposable } = require('./dispose.cjs');
const { ConcurrencyLimitError, refusalOf } = require('./errors.cjs');
const { reportCall } = require('./outcome.cjs');
const { Outflow } = require('./outflow.cjs');
const { writeMode } = require('./quota.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS, choice, number, wrong } = require('./settings.cjs');
const { join } = require('./waiters.cjs');

const { concurrency } = addon;
const { tryAcquire, release, report } = concurrency;

const FIELDS = SETTINGS.concurrency;
const SHARES = ['partitions', 'priority'];
const COMMON = ['maxWaiting', 'order', ...SHARES, 'maxWaitMs', 'retryAfterMs', 'enabled', 'dryRun', ...PLACE];
const OPTIONS = ['limit', 'maxLimit', ...COMMON];
/** What a call may say of itself. */
const OWN = ['partition'];
/** Where maxWaiting, order, and enabled and dryRun, stand among the numbers; src/concurrency.rs has the same. */
const [MAX_WAITING, ORDER, MODE] = [2, 3, 4];
const ADAPTIVE = Object.values(SETTINGS.adaptive);
const ADAPTIVE_OPTIONS = [...ADAPTIVE.map(({ name }) => name), 'clock', ...COMMON];
/** What became of a call, by the core's numbers. */
const [SUCCESS, IGNORE, DROPPED] = [0, 1, 2];

/** An option of an adaptive limit as a number; NaN: the algorithm's own. */
function adaptiveNumber(field, value) {
  if (value === undefined) return NaN;
  if (field.texts !== undefined) return field.texts.indexOf(choice(field, value));
  return field === SETTINGS.adaptive.probe ? Number(flag(field, value)) : number(field, value);
}

function flag(field, value) {
  if (typeof value !== 'boolean') throw wrong(field, value);
  return value;
}

/** The option `partitions` as the addon takes it: a share and a name in each text. */
function sharesOf(partitions = {}) {
  if (partitions === null || typeof partitions !== 'object' || Array.isArray(partitions)) {
    throw check.typeError(`partitions must be an object of names and shares, got ${check.show(partitions)}`);
  }
  return Object.entries(partitions).map(([name, share]) => {
    if (typeof share === 'number') return `${share} ${name}`;
    throw check.typeError(`partitions: the share of ${check.show(name)} must be a number, got ${check.show(share)}`);
  });
}

function orderOf(priority = []) {
  if (!Array.isArray(priority) || !priority.every((name) => typeof name === 'string')) {
    throw check.typeError(`priority must be an array of names of partitions, got ${check.show(priority)}`);
  }
  return [...priority];
}

/** Those who wait, by their number in the core's line. */
class Waiters extends Map {
  add(waiter) {
    this.set(waiter.number, waiter);
  }

  delete({ number }) {
    return super.delete(number);
  }
}

let select;
let handOn;
/** `acquire({ partition })`, asking `signalOf` for a signal only where there is a wait. */
let acquireUnless;
/** The number of a partition; throws for what names none. */
let partitionNumber;
let refuseWaiting;

class ConcurrencyLimiter {
  /** Its place in the addon's table. */
  #id;
  #name;
  #maxWaitMs;
  /** Left out: by the rate. */
  #retryAfterMs;
  #outflow = new Outflow();
  #clock;
  /** Numbers of partitions by their names. */
  #partitions = new Map();
  #waiters = new Waiters();
  /** Until the next look for what other threads and processes have given back, and when that is due. */
  #pause;
  #due = Infinity;
  /** Whether nobody may wait here any more. */
  #refusesWaiting = false;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self))
        throw check.detached('ConcurrencyLimiter', method);
      words[0] = self.#id;
    };
    handOn = (self) => {
      if (self.#waiters.size > 0) self.#handOn();
    };
    acquireUnless = (self, partition, signalOf) =>
      self.#acquire({ timeoutMs: self.#maxWaitMs, signal: undefined }, self.#numberOf({ partition }), signalOf);
    partitionNumber = (self, partition) => self.#numberOf({ partition });
    refuseWaiting = (self) => {
      self.#refusesWaiting = true;
      for (const waiter of self.#waiters.values()) {
        waiter.refuse(self.#refusal(0));
        self.#leave(waiter, false);
      }
    };
  }

  constructor(options, kind = undefined) {
    const isAdaptive = kind === ADAPTIVE;
    const given = isAdaptive
      ? check.options(options, 'ConcurrencyLimiter.adaptive', ADAPTIVE_OPTIONS)
      : check.options(options, 'new ConcurrencyLimiter', OPTIONS);
    const { limit, maxLimit, maxWaiting, order, maxWaitMs = 0, retryAfterMs, clock, partitions, priority } = given;
    const [shares, first] = [sharesOf(partitions), orderOf(priority)];
    this.#maxWaitMs = check.patience(maxWaitMs, 'maxWaitMs');
    this.#retryAfterMs = retryAfterMs === undefined ? undefined : check.span(retryAfterMs, 'retryAfterMs');
    this.#clock = clock;
    const place = FIELDS.order.texts.indexOf(choice(FIELDS.order, order));
    if (isAdaptive) {
      ADAPTIVE.forEach((field, index) => {
        numbers[index] = adaptiveNumber(field, given[field.name]);
      });
      numbers[ADAPTIVE.length] = number(FIELDS.max_waiting, maxWaiting);
      numbers[ADAPTIVE.length + 1] = place;
      writeMode(given, ADAPTIVE.length + 2);
    } else {
      numbers[0] = number(FIELDS.limit, limit);
      numbers[1] = number(FIELDS.max_limit, maxLimit);
      numbers[MAX_WAITING] = number(FIELDS.max_waiting, maxWaiting);
      numbers[ORDER] = place;
      writeMode(given, MODE);
    }
    this.#id = create(isAdaptive ? concurrency.createAdaptive : concurrency.create, this, given, shares, first).id;
    this.#name = given.name;
    shares.forEach((text, index) => this.#partitions.set(text.slice(text.indexOf(' ') + 1), index + 1));
  }

  static adaptive(options = {}) {
    return new ConcurrencyLimiter(options, ADAPTIVE);
  }

  tryAcquire(options = undefined) {
    if (options !== undefined) return this.#tryAcquire(this.#numberOf(check.options(options, 'tryAcquire', OWN)));
    select(this, 'tryAcquire');
    tryAcquire();
    if (words[1] === 1) return new ConcurrencyPermit(this);
    // A denial may have ended a probe, whose limit kept others waiting.
    handOn(this);
    return null;
  }

  /** Of a partition, by its number. */
  #tryAcquire(partition) {
    select(this, 'tryAcquire');
    words[2] = partition;
    concurrency.tryAcquireIn();
    if (words[1] === 1) return new ConcurrencyPermit(this);
    handOn(this);
    return null;
  }

  #numberOf({ partition }) {
    if (partition === undefined) return 0;
    const number = this.#partitions.get(partition);
    if (number !== undefined) return number;
    if (typeof partition !== 'string') {
      throw check.typeError(`partition must be the name of one of its partitions, got ${check.show(partition)}`);
    }
    select(this, 'acquire');
    // The core says what is wrong.
    concurrency.partition(undefined, partition);
    return words[1];
  }

  async acquire(options = undefined) {
    select(this, 'acquire');
    const waiting = check.waiting(options, 'acquire', this.#maxWaitMs, OWN);
    const partition = this.#numberOf(waiting);
    throwIfAborted(waiting.signal);
    return this.#acquire(waiting, partition, undefined);
  }

  /** A permit, or a promise of one. */
  #acquire(waiting, partition, signalOf) {
    if (waiting.timeoutMs === 0 || this.#refusesWaiting) {
      const permit = partition === 0 ? this.tryAcquire() : this.#tryAcquire(partition);
      if (permit === null) throw this.#refusal(0);
      return permit;
    }
    select(this, 'acquire');
    words[2] = partition;
    concurrency.join();
    if (words[1] === 1) return new ConcurrencyPermit(this);
    // As many wait as may.
    if (numbers[0] === 1) throw this.#refusal(0);
    const own = { number: words[2] };
    const { timeoutMs, signal = signalOf?.() } = waiting;
    const timedOut = () => this.#refusal(timeoutMs);
    const left = (waiter, isTimeout) => this.#leave(waiter, isTimeout);
    const granted = join(this.#waiters, own, { timeoutMs, signal }, timedOut, left);
    this.#handOn();
    return granted;
  }

  async run(fn, options = undefined) {
    verifyCalled(check.callable(fn, 'fn'), 'fn');
    const permit = await this.acquire(options);
    let result;
    try {
      result = await fn();
    } catch (error) {
      reportCall(permit, false, error);
      throw error;
    }
    reportCall(permit, true);
    return result;
  }

  get name() {
    select(this, 'name');
    return this.#name;
  }

  get limit() {
    return this.stats().limit;
  }

  get inUse() {
    return this.stats().inUse;
  }

  setShares(shares) {
    select(this, 'setShares');
    const texts = sharesOf(shares);
    concurrency.setShares(undefined, texts);
    handOn(this);
  }

  get shares() {
    select(this, 'shares');
    const lines = concurrency.shares().split('\n').filter(Boolean);
    return Object.fromEntries(lines.map((line) => [line.slice(line.indexOf(' ') + 1), Number.parseFloat(line)]));
  }

  setLimit(limit) {
    select(this, 'setLimit');
    numbers[0] = number(FIELDS.limit, limit);
    concurrency.setLimit();
    handOn(this);
  }

  explain() {
    select(this, 'explain');
    return concurrency.explain().split('\n').filter(Boolean);
  }

  stats() {
    select(this, 'stats');
    concurrency.stats();
    return counted.concurrency(numbers);
  }

  partitionStats() {
    select(this, 'partitionStats');
    const all = [...this.#partitions].map(([name, number]) => {
      words[2] = number;
      concurrency.partitionStats();
      return [name, counted.partition(numbers)];
    });
    return Object.fromEntries(all);
  }

  /** ms to tell who is refused. */
  #wait() {
    if (this.#retryAfterMs !== undefined) return this.#retryAfterMs;
    const { inUse, waiting, admitted } = this.stats();
    return this.#outflow.retryAfterMs(inUse + waiting, admitted - inUse, nowMs(this.#clock));
  }

  #refusal(timeoutMs) {
    const waitMs = this.#wait();
    select(this, 'acquire');
    numbers[0] = waitMs;
    numbers[1] = timeoutMs;
    return refusalOf(this, new ConcurrencyLimitError(concurrency.refused(undefined, this.#name), waitMs));
  }

  #leave({ number }, isTimeout) {
    select(this, 'acquire');
    words[2] = number;
    numbers[0] = isTimeout ? 1 : 0;
    concurrency.leave();
    // A permit that had come for it goes to the next.
    this.#handOn();
  }

  /** Gives those who wait what there is for them. */
  #handOn() {
    while (this.#waiters.size > 0) {
      select(this, 'acquire');
      concurrency.fetch();
      if (words[1] !== 1) break;
      this.#waiters.get(words[2]).grant(new ConcurrencyPermit(this));
    }
    const lookInMs = this.#waiters.size > 0 ? numbers[0] : Infinity;
    if (lookInMs === Infinity) return this.#lookAt(Infinity);
    const due = performance.now() + lookInMs;
    // The line may have moved: its new first looks sooner than the one before would have.
    if (due < this.#due) this.#lookAt(due, lookInMs);
  }

  #lookAt(due, lookInMs) {
    clearTimeout(this.#pause);
    this.#due = due;
    if (due === Infinity) return;
    this.#pause = setTimeout(() => {
      this.#due = Infinity;
      this.#handOn();
    }, lookInMs);
  }
}

class ConcurrencyPermit {
  /** The limiter, until it is given back. */
  #limiter;
  /** The permit's word, and its cell with the time of asking. */
  #low = bits[0];
  #high = bits[1];
  #cell = bits[2];
  #asked = bits[3];

  constructor(limiter) {
    this.#limiter = limiter;
  }

  release() {
    const limiter = this.#limiter;
    if (limiter === null) return false;
    this.#limiter = null;
    select(limiter, 'release');
    bits[0] = this.#low;
    bits[1] = this.#high;
    bits[2] = this.#cell;
    bits[3] = this.#asked;
    release();
    const released = words[1] === 1;
    handOn(limiter);
    return released;
  }

  success(latencyMs = undefined) {
    return this.#report(SUCCESS, latencyMs);
  }

  ignore() {
    return this.#report(IGNORE, undefined);
  }

  dropped(latencyMs = undefined) {
    return this.#report(DROPPED, latencyMs);
  }

  #report(outcome, latencyMs) {
    const latency = latencyMs === undefined ? NaN : check.span(latencyMs, 'latencyMs');
    const limiter = this.#limiter;
    if (limiter === null) return false;
    this.#limiter = null;
    select(limiter, 'release');
    words[2] = outcome;
    numbers[0] = latency;
    bits[0] = this.#low;
    bits[1] = this.#high;
    bits[2] = this.#cell;
    bits[3] = this.#asked;
    report();
    const reported = words[1] === 1;
    handOn(limiter);
    return reported;
  }
}
disposable(ConcurrencyPermit);

shown(ConcurrencyLimiter, (limiter) => ({ name: limiter.name, ...limiter.stats() }));

measured(ConcurrencyLimiter, 'concurrency', (self) => select(self, 'add'));

module.exports = {
  /** Gives those who wait what there is for them. */
  handOn: (limiter) => handOn(limiter),
  concurrencyPlace: (it) => {
    select(it, 'concurrency');
    return words[0];
  },
  ConcurrencyLimiter,
  ConcurrencyPermit,
  acquireUnless: (...given) => acquireUnless(...given),
  partitionNumber: (self, partition) => partitionNumber(self, partition),
  /** Throws for what names none of its partitions. */
  verifyPartition: (self, partition) => void partitionNumber(self, partition),
  /** The service ends: those who wait through this object are refused, and whoever would wait from now on. */
  refuseWaiting: (self) => refuseWaiting(self),
};
