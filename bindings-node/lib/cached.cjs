'use strict';
// The last good value of each key, for when there is no new one.

const { AsyncLocalStorage } = require('node:async_hooks');
const { throwIfAborted, unlessAborted } = require('./abort.cjs');
const check = require('./check.cjs');
const { isCancelled } = require('./classify.cjs');
const { nowMs, selectClock } = require('./clock.cjs');
const { callAround } = require('./deadline.cjs');
const { TimeoutExceededError } = require('./errors.cjs');
const { members } = require('./group.cjs');
const { shown } = require('./show.cjs');
const { timed } = require('./timeout.cjs');

const OPTIONS = ['maxAgeMs', 'maxEntries', 'key', 'clock'];

/** Numbers of functions and of what they are called on: what differs in them is not the same call. */
const numbers = new WeakMap();
let last = 0;
function numberOf(value) {
  let number = numbers.get(value);
  if (number === undefined) numbers.set(value, (number = ++last));
  return number;
}

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

/** By the function and its arguments, which say whose value it is only where they are no objects. */
function keyOf(fn, receiver, args) {
  const object = args.find((arg) => isObject(arg) || typeof arg === 'symbol');
  if (object !== undefined) {
    const what = check.show(object);
    throw check.typeError(`cached: give a key, (...args) => a text: it cannot tell calls apart by ${what}`);
  }
  const parts = args.map((arg) => `${typeof arg} ${String(arg).length} ${arg}`);
  return [numberOf(fn), isObject(receiver) ? numberOf(receiver) : 0, ...parts].join(' ');
}

/** How long this caller would wait is no matter of the others'. */
const isLate = (error) =>
  members(error).some((one) => one instanceof TimeoutExceededError) && callAround().deadline?.expired === true;

/** The end of another's call, unless this caller is gone, or late, before. */
function endOf({ ended }, signal) {
  const { deadline, call } = callAround();
  if (deadline === undefined && call === undefined) return unlessAborted(ended, signal);
  return timed(() => unlessAborted(ended, signal), Infinity, undefined, undefined);
}

/** The calls around this one, which it cannot wait for. */
const within = new AsyncLocalStorage();

let isCached;

class Cached {
  #maxAgeMs;
  #maxEntries;
  #key;
  #clock;
  /** By key, the latest last. */
  #values = new Map();
  /** The calls under way, by key. */
  #running = new Map();

  static {
    isCached = (value) => value !== null && typeof value === 'object' && #values in value;
    shown(this, (it) => ({ maxAgeMs: it.#maxAgeMs, maxEntries: it.#maxEntries, size: it.#values.size }));
  }

  constructor(options) {
    const given = check.options(options, 'cached', OPTIONS);
    const { maxAgeMs = 300_000, maxEntries = 1024, key, clock } = given;
    this.#maxAgeMs = check.limit(maxAgeMs, 'maxAgeMs');
    this.#maxEntries = check.whole(maxEntries, 'maxEntries', 1);
    if (key !== undefined) this.#key = check.callable(key, 'key');
    selectClock(clock);
    this.#clock = clock;
  }

  keyOf(fn, receiver, args) {
    if (this.#key === undefined) return keyOf(fn, receiver, args);
    const key = this.#key.apply(receiver, args);
    if (typeof key === 'string' || (typeof key === 'number' && !Number.isNaN(key))) return key;
    throw check.typeError(`cached: key must give a text or a number, got ${check.show(key)}`);
  }

  /** `{ value, ageMs }`, or undefined. */
  look(key) {
    const kept = this.#values.get(key);
    if (kept === undefined) return undefined;
    // A clock that stepped back makes nothing younger than it was when it came.
    const ageMs = Math.max(0, nowMs(this.#clock) - kept.atMs);
    if (ageMs <= this.#maxAgeMs) return { value: kept.value, ageMs };
    this.#values.delete(key);
    return undefined;
  }

  keep(key, value) {
    this.#values.delete(key);
    this.#values.set(key, { value, atMs: nowMs(this.#clock) });
    if (this.#values.size > this.#maxEntries) this.#values.delete(this.#values.keys().next().value);
  }

  /** Calls `fn`, or waits with a call of this key that is under way; one that is cancelled takes nobody along. */
  async once(key, fn, signal) {
    for (;;) {
      const running = this.#running.get(key);
      if (running === undefined) return this.#first(key, fn, signal);
      if (within.getStore()?.includes(running)) return fn();
      throwIfAborted(signal);
      const end = await endOf(running, signal);
      if (!end.isCancelled) return end.give();
    }
  }

  async #first(key, fn, signal) {
    const running = { ended: undefined, isOver: false };
    // Without those that are over: what a call begins may begin another, and so on for as long as the process lives.
    const around = (within.getStore() ?? []).filter(({ isOver }) => !isOver);
    const call = within.run([...around, running], () => Promise.resolve().then(fn));
    const end = (isAbort, give) => {
      // Before anybody hears of it: whoever calls again then makes a call.
      this.#running.delete(key);
      running.isOver = true;
      return { isCancelled: isAbort, give };
    };
    running.ended = call.then(
      (value) => end(false, () => value),
      (error) =>
        end(isCancelled(error) || isLate(error) || (signal?.aborted === true && signal.reason === error), () => {
          throw error;
        }),
    );
    this.#running.set(key, running);
    return (await running.ended).give();
  }
}

const cached = (options = {}) => new Cached(options);

module.exports = { cached, isCached: (value) => isCached(value) };
