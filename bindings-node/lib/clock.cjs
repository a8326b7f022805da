'use strict';
// Clocks: the machine's, and one that moves only when told to.

const { addon, words, numbers, bigints } = require('./native.cjs');
const { onAbort } = require('./abort.cjs');
const check = require('./check.cjs');
const { shown } = require('./show.cjs');

const { clock } = addon;
/** The place of the machine's monotonic clock in the addon's table. */
const SYSTEM = 0;
/** The longest delay setTimeout takes. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

let select;
let has;
let sleepOn;

class ManualClock {
  #id;
  #sleepers = new Set();

  static {
    has = (value) => value !== null && typeof value === 'object' && #id in value;
    select = (self, method) => {
      if (!has(self)) throw check.detached('ManualClock', method);
      words[0] = self.#id;
    };
    sleepOn = (manual, waitMs, wake) => {
      const sleeper = { due: manual.nowNs + BigInt(Math.ceil(waitMs * 1e6)), wake };
      manual.#sleepers.add(sleeper);
      return () => manual.#sleepers.delete(sleeper);
    };
  }

  constructor(startNs = 0n) {
    bigints[0] = nanoseconds(startNs, 'startNs');
    clock.create(this);
    this.#id = words[0];
  }

  get nowNs() {
    select(this, 'nowNs');
    clock.now();
    return bigints[0];
  }

  advance(ms) {
    select(this, 'advance');
    numbers[0] = check.span(ms, 'ms');
    clock.advance();
    this.#wake();
  }

  setNs(ns) {
    select(this, 'setNs');
    bigints[0] = nanoseconds(ns, 'ns');
    clock.set();
    this.#wake();
  }

  #wake() {
    const now = this.nowNs;
    for (const sleeper of [...this.#sleepers].filter(({ due }) => due <= now)) {
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

function nanoseconds(value, name) {
  const allowed = 'nanoseconds as a bigint from 0n to 2n ** 64n - 1n';
  if (typeof value !== 'bigint') throw check.typeError(`${name} must be ${allowed}, got ${check.show(value)}`);
  if (value < 0n || value >= 1n << 64n) throw check.rangeError(`${name} must be ${allowed}, got ${value}n`);
  return value;
}

/** Makes `clock`, or the machine's without one, the clock of the object that is created next. */
function selectClock(value) {
  if (value === undefined) {
    words[0] = SYSTEM;
  } else if (has(value)) {
    select(value, 'clock');
  } else {
    throw check.typeError(
      `clock must be a ManualClock (leave it out for the machine's clock), got ${check.show(value)}`,
    );
  }
}

/** The time on `manual`, or on the machine's clock without one. */
const nowMs = (manual) => (manual === undefined ? performance.now() : Number(manual.nowNs) / 1e6);

/**
 * Calls `wake` once `waitMs` have passed on the machine's clock, never early (a timer may fire up to 1 ms early).
 * @param keepsAlive whether the process waits for it
 * @returns {() => void} takes it back
 */
function after(waitMs, wake, keepsAlive = true) {
  if (waitMs === Infinity) return () => {};
  const due = performance.now() + waitMs;
  let timer;
  const arm = () => {
    timer = setTimeout(fire, Math.min(Math.ceil(due - performance.now()), LONGEST_TIMER_MS));
    if (!keepsAlive) timer.unref();
  };
  const fire = () => (performance.now() < due ? arm() : wake());
  arm();
  return () => clearTimeout(timer);
}

/** The same on `manual`, or on the machine's clock without one. */
const alarm = (waitMs, manual, wake, keepsAlive) =>
  manual === undefined || waitMs === Infinity ? after(waitMs, wake, keepsAlive) : sleepOn(manual, waitMs, wake);

/**
 * Resolves once `waitMs` have passed on `manual`, or on the machine's clock without one; rejects with the reason of
 * whichever signal aborts first.
 */
function sleep(waitMs, manual, signal, other = undefined) {
  return new Promise((resolve, reject) => {
    const settle = (how, value) => {
      cancel();
      stay();
      stayToo();
      how(value);
    };
    const cancel = alarm(waitMs, manual, () => settle(resolve));
    const stay = onAbort(signal, () => settle(reject, signal.reason));
    const stayToo = onAbort(other, () => settle(reject, other.reason));
  });
}

/** Resolves once the event loop has come round; kept from before a test's fake timers, which would have it wait. */
const { setImmediate: soon } = globalThis;
const turn = () => new Promise((resolve) => soon(resolve));

/** Where a DateClock begins to count, so that dates before 1970 move it too, and the last date that it tells apart. */
const FIRST_MS = Date.UTC(1800, 0, 1);
const LAST_MS = FIRST_MS + 2 ** 64 / 1e6;

/** Nanoseconds from the first to now, as Date has it: at an end for what lies beyond. */
function dateNs() {
  const ms = Date.now();
  if (typeof ms !== 'number' || Number.isNaN(ms)) {
    throw check.typeError(`DateClock: Date.now() must give milliseconds, got ${check.show(ms)}`);
  }
  if (ms >= LAST_MS) return (1n << 64n) - 1n;
  return ms <= FIRST_MS ? 0n : BigInt(Math.round((ms - FIRST_MS) * 1000)) * 1000n;
}

/** A manual clock that goes as Date goes: for tests under fake timers, which move no clock of a native library. */
class DateClock extends ManualClock {
  constructor() {
    super(dateNs());
  }

  /** Moves it to where Date is now. A drop-in that is given one does so before each of its calls. */
  follow() {
    const ns = dateNs();
    if (ns !== this.nowNs) this.setNs(ns);
  }
}

/** Before a drop-in decides: its clock follows Date if it is of that kind. */
const follow = (clock) => {
  if (clock instanceof DateClock) clock.follow();
};

/** Nanoseconds on a manual clock, and a span of milliseconds as those, rounded up. */
const inNs = (ms) => BigInt(Math.ceil(ms * 1e6));

/**
 * When something of each key ends on a manual clock, to the nanosecond. A native window ends on its ticks, up to 2^-14
 * of it late, which a test that moves time to the end would see.
 */
class Ends {
  #clock;
  #ends = new Map();

  constructor(clock) {
    this.#clock = clock;
  }

  /** Sets a key's end, `ms` from now. */
  set(key, ms) {
    this.#ends.set(key, this.#clock.nowNs + inNs(ms));
  }

  /** Milliseconds to a key's end, undefined for one without. */
  left(key) {
    const end = this.#ends.get(key);
    return end === undefined ? undefined : Number(end - this.#clock.nowNs) / 1e6;
  }

  /** Whether a key's end has come; then it has none any more. */
  passed(key) {
    const end = this.#ends.get(key);
    return end !== undefined && end <= this.#clock.nowNs && this.#ends.delete(key);
  }

  delete(key) {
    this.#ends.delete(key);
  }

  clear() {
    this.#ends.clear();
  }
}

shown(ManualClock, (clock) => ({ nowNs: String(clock.nowNs) }));

module.exports = { DateClock, Ends, ManualClock, alarm, follow, after, nowMs, selectClock, sleep, turn };
