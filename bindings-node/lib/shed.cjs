'use strict';
// Load shedding: what a service does not take when it has too much to do, the less important first.

const { addon, words, numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter } = require('./concurrency.cjs');
const { OverloadedError, refusalOf } = require('./errors.cjs');
const { asKey } = require('./key.cjs');
const { measured } = require('./measured.cjs');
const { isPromise } = require('./promise.cjs');
const { BoundedQueue } = require('./queue.cjs');
const { writeMode } = require('./quota.cjs');
const { PLACE, create } = require('./scope.cjs');
const { NAMES, SETTINGS, number } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { shedder: native } = addon;

const FIELDS = Object.values(SETTINGS.shedder);
/** Those that change while it is in use; in the core's order they come first. */
const TUNED = FIELDS.slice(0, 6);
const OPTIONS = ['signals', ...FIELDS.map(({ name }) => name), 'levelKey', 'enabled', 'dryRun', 'clock', ...PLACE];
/** In the order of the core's numbers. */
const PRIORITIES = NAMES.priorities;
const LEVELS = 128;
/** By their names in the core. */
const KINDS = {
  queueFill: 'queue_fill',
  queueDelay: 'queue_delay',
  inFlight: 'in_flight',
  cpu: 'cpu',
  memory: 'memory',
  psiCpu: 'psi_cpu',
  psiMemory: 'psi_memory',
  loopLag: 'loop_lag',
  gauge: 'gauge',
};
const DEFAULT = ['cpu', 'memory', 'psiCpu', 'psiMemory', 'loopLag'];
/** What is a time: milliseconds here, seconds in the core. */
const TIMES = new Set(['queueDelay', 'loopLag']);
const PERIOD = { name: 'periodMs', least: 1, most: 10_000 };

const quoted = (texts) => texts.map((text) => `'${text}'`).join(', ');

/** What somebody gave as a priority, as its number. */
function priorityOf(value) {
  const place = PRIORITIES.indexOf(value);
  if (place >= 0) return place;
  if (typeof value !== 'string') {
    throw check.typeError(`priority must be one of ${quoted(PRIORITIES)}, got ${check.show(value)}`);
  }
  throw check.valueError(`priority: ${check.show(value)} is none of ${quoted(PRIORITIES)}`);
}

function levelFrom(value) {
  if (typeof value !== 'number') throw check.typeError(`level must be a whole number, got ${check.show(value)}`);
  if (!Number.isInteger(value) || value < 0 || value >= LEVELS) {
    throw check.rangeError(`level: ${value} is not within 0 to ${LEVELS - 1}; 0 is shed last`);
  }
  return value;
}

function bound(signal, which, scale) {
  const value = signal[which];
  if (value === undefined) return '';
  if (typeof value !== 'number') throw check.typeError(`${which} must be a number, got ${check.show(value)}`);
  return String(value / scale);
}

/** `{ kind, name, text, read }`: what the core takes, and a function that gives the value where it is read here. */
function signalOf(given) {
  if (typeof given === 'string') return signalOf({ kind: given });
  if (given instanceof BoundedQueue) return signalOf({ kind: 'queueFill', read: given });
  if (given instanceof ConcurrencyLimiter) return signalOf({ kind: 'inFlight', read: given });
  const signal = check.options(given, 'signals', ['kind', 'name', 'start', 'full', 'startMs', 'fullMs', 'read']);
  const { kind, name = kind, read } = signal;
  if (!Object.hasOwn(KINDS, kind)) {
    throw check.valueError(`signals: ${check.show(kind)} is none; there are ${quoted(Object.keys(KINDS))}`);
  }
  check.text(name, 'name');
  if (name.includes('\n')) throw check.valueError('name: a name has no line breaks');
  const isTime = TIMES.has(kind);
  const [start, full] = isTime ? ['startMs', 'fullMs'] : ['start', 'full'];
  for (const wrong of isTime ? ['start', 'full'] : ['startMs', 'fullMs']) {
    if (signal[wrong] !== undefined) throw check.valueError(`${wrong}: of ${kind} write ${start} and ${full}`);
  }
  const scale = isTime ? 1000 : 1;
  // The core's name of the kind, where there is no other: services in other languages have the same signal.
  const told = name === kind ? KINDS[kind] : name;
  const text = [KINDS[kind], told, bound(signal, start, scale), bound(signal, full, scale)].join('\n');
  return { kind, name, told, text, scale, read: readerOf(read, kind), isFunction: typeof read === 'function' };
}

function readerOf(read, kind) {
  if (read === undefined) return undefined;
  if (read instanceof BoundedQueue) {
    if (kind === 'queueDelay') return () => read.leastDelayMs ?? NaN;
    return () => read.depth / read.capacity;
  }
  if (read instanceof ConcurrencyLimiter) return () => read.inUse / read.limit;
  if (typeof read === 'function') return read;
  throw check.typeError(`read must be a function, a BoundedQueue or a ConcurrencyLimiter, got ${check.show(read)}`);
}

let select;
let checkWith;
let levelAt;
let readSignals;

class LoadShedder {
  #id;
  #name;
  #clock;
  #signals;
  /** Those that are read here, one after the other. */
  #own;
  #next = 0;
  #dueMs = 0;
  #eachMs;
  /** Signals of which a failure was said. */
  #said = new Set();
  #stop;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('LoadShedder', method);
      words[0] = self.#id;
    };
    checkWith = (self, method, priority, level, draw) => {
      select(self, method);
      const [place, within] = [priorityOf(priority), levelFrom(level)];
      self.#read();
      words[0] = self.#id;
      words[1] = place;
      words[2] = within;
      numbers[0] = draw;
      native.check();
      const [signal, pressure, retryAfterMs] = numbers;
      return { allowed: words[1] === 1, signal: self.#signals[signal]?.name, pressure, retryAfterMs };
    };
    readSignals = (self) => self.#read();
    levelAt = (self, user, unixS) => {
      select(self, 'levelOf');
      const key = asKey(user);
      words[0] = self.#id;
      numbers[0] = unixS;
      native.levelOf(key);
      return words[1];
    };
  }

  constructor(options = {}) {
    const given = check.options(options, 'new LoadShedder', OPTIONS);
    const { signals = DEFAULT, levelKey = '' } = given;
    if (!Array.isArray(signals)) throw check.typeError(`signals must be an array, got ${check.show(signals)}`);
    this.#signals = signals.map(signalOf);
    this.#own = this.#signals.filter(({ read }) => read !== undefined);
    check.text(levelKey, 'levelKey');
    FIELDS.forEach((field, index) => {
      numbers[index] = number(field, given[field.name]);
    });
    this.#eachMs = numbers[6] / Math.max(1, this.#own.length);
    writeMode(given, FIELDS.length);
    const text = this.#signals.map((signal) => signal.text).join('\n');
    this.#id = create(native.create, this, given, text, levelKey).id;
    this.#name = given.name;
    this.#clock = given.clock;
  }

  setConfig(changes) {
    const given = check.options(changes, 'setConfig', ['ranges', ...TUNED.map(({ name }) => name)]);
    select(this, 'setConfig');
    const { ranges = {} } = given;
    if (ranges === null || typeof ranges !== 'object') {
      throw check.typeError(`ranges must be an object of signals and ranges, got ${check.show(ranges)}`);
    }
    const text = Object.entries(ranges).map(([name, range]) => {
      const signal = this.#signals.find((it) => it.name === name);
      if (signal === undefined) {
        const names = quoted(this.#signals.map((it) => it.name));
        throw check.valueError(`ranges: ${check.show(name)} is none of this shedder's signals: ${names}`);
      }
      if (!Array.isArray(range) || range.length !== 2 || !range.every((it) => typeof it === 'number')) {
        throw check.typeError(`ranges: that of ${check.show(name)} must be two numbers, got ${check.show(range)}`);
      }
      return [signal.told, ...range.map((it) => String(it / signal.scale))].join('\n');
    });
    TUNED.forEach((field, index) => {
      const value = given[field.name];
      numbers[index] = value === undefined ? NaN : number(field, value ?? undefined);
    });
    words[0] = this.#id;
    native.setConfig(undefined, text.join('\n'));
  }

  admit(priority = 'normal', level = 0) {
    select(this, 'admit');
    const [place, within] = [priorityOf(priority), levelFrom(level)];
    if (this.#own.length > 0) {
      this.#read();
      words[0] = this.#id;
    }
    words[1] = place;
    words[2] = within;
    native.admit();
    return words[1] === 1;
  }

  check(priority = 'normal', level = 0) {
    return checkWith(this, 'check', priority, level, NaN);
  }

  enter(priority = 'normal', level = 0) {
    const { allowed, signal, pressure, retryAfterMs } = checkWith(this, 'enter', priority, level, NaN);
    if (allowed) return;
    const name = this.#name === undefined ? '' : ` ${JSON.stringify(this.#name)}`;
    const why = signal === undefined ? '' : ` (${signal} at ${Math.round(pressure * 100)} % of its range)`;
    throw refusalOf(this, new OverloadedError(`load shedder${name} refused a call${why}`, retryAfterMs));
  }

  levelOf(user) {
    return levelAt(this, user, NaN);
  }

  tell(signal, value) {
    select(this, 'tell');
    check.text(signal, 'signal');
    if (typeof value !== 'number') throw check.typeError(`value must be a number, got ${check.show(value)}`);
    const known = this.#signals.find(({ name }) => name === signal);
    if (known?.read !== undefined) {
      throw check.valueError(`signal: ${check.show(signal)} is read by the shedder itself, and cannot be told`);
    }
    this.#tell(signal, value, known?.scale ?? 1);
  }

  #tell(signal, value, scale) {
    words[0] = this.#id;
    numbers[0] = value / scale;
    native.tell(undefined, this.#signals.find(({ name }) => name === signal)?.told ?? signal);
  }

  /** The next of the signals that are read here, if it is time. */
  #read() {
    if (this.#own.length === 0) return;
    const now = this.#clock === undefined ? performance.now() : Number(this.#clock.nowNs) / 1e6;
    // One that is far ahead is of a clock that stepped back.
    if (now < this.#dueMs && this.#dueMs <= now + this.#eachMs + 1000) return;
    this.#dueMs = now + this.#eachMs;
    const { name, read, scale, isFunction } = this.#own[this.#next];
    this.#next = (this.#next + 1) % this.#own.length;
    let value = NaN;
    try {
      const given = read();
      if (typeof given === 'number') value = given;
      if (isPromise(given)) given.then(undefined, () => {});
      if (Number.isNaN(value) && isFunction) this.#say(name, `gave ${check.show(given)}, which is no number`);
    } catch (error) {
      this.#say(name, `threw ${check.show(error)}`);
    }
    this.#tell(name, value, scale);
  }

  #say(name, what) {
    if (this.#said.has(name)) return;
    this.#said.add(name);
    process.emitWarning(`the signal '${name}' is off: its function ${what}`, 'TidegateWarning');
  }

  sample() {
    select(this, 'sample');
    this.#read();
    words[0] = this.#id;
    native.sample();
  }

  watch(periodMs = 20) {
    select(this, 'watch');
    if (typeof periodMs !== 'number') throw check.typeError(`periodMs must be a number, got ${check.show(periodMs)}`);
    if (!(periodMs >= PERIOD.least && periodMs <= PERIOD.most)) {
      throw check.rangeError(`periodMs: ${periodMs} is not within ${PERIOD.least} ms to ${PERIOD.most} ms`);
    }
    return (this.#stop ??= watchLoop(new WeakRef(this), periodMs, () => {
      this.#stop = undefined;
    }));
  }

  /** For the watch: a tick came so late. */
  _tick(lateMs, periodMs) {
    select(this, 'watch');
    this.#read();
    words[0] = this.#id;
    numbers[0] = lateMs;
    numbers[1] = periodMs;
    native.tick();
  }

  get name() {
    select(this, 'name');
    return this.#name;
  }

  get pressure() {
    select(this, 'pressure');
    native.pressure();
    return numbers[0];
  }

  get loopLag() {
    select(this, 'loopLag');
    native.loopLag();
    return words[1] === 1 ? { p99Ms: numbers[0], maxMs: numbers[1] } : undefined;
  }

  explain() {
    select(this, 'explain');
    const lines = native.explain().split('\n').filter(Boolean);
    // Signals by the names that they have here.
    for (const { name, told } of this.#signals.filter(({ name, told }) => name !== told)) {
      for (const [at, line] of lines.entries()) {
        if (line.startsWith(`${told}: `)) lines[at] = name + line.slice(told.length);
        else if (line.startsWith('pressure: ') && line.endsWith(`, of ${told}`)) {
          lines[at] = line.slice(0, -told.length) + name;
        }
      }
    }
    return lines;
  }

  stats() {
    select(this, 'stats');
    native.stats();
    return counted.shedder(numbers);
  }
}

/** Ticks until it is stopped or the shedder is gone; keeps neither it nor the process alive. */
function watchLoop(weak, periodMs, stopped) {
  let due = performance.now() + periodMs;
  const tick = () => {
    const shedder = weak.deref();
    if (shedder === undefined) return;
    const now = performance.now();
    shedder._tick(Math.max(0, now - due), periodMs);
    due = performance.now() + periodMs;
    timer = setTimeout(tick, periodMs).unref();
  };
  let timer = setTimeout(tick, periodMs).unref();
  return () => {
    clearTimeout(timer);
    stopped();
  };
}

/**
 * What reads the pressure of a source. A LoadShedder's moves only as somebody samples, and once its calls stop, as
 * while its consumer is paused, nobody else does.
 */
function pressureReader(source) {
  if (!(source instanceof LoadShedder)) return () => source.pressure;
  return () => {
    source.sample();
    return source.pressure;
  };
}

shown(LoadShedder, (it) => ({ name: it.name, ...it.stats() }));

measured(LoadShedder, 'shedder', (self) => select(self, 'add'));

module.exports = {
  levelFrom,
  /** Of those that are read here the next, if it is time. */
  readSignals: (shedder) => readSignals(shedder),
  shedderPlace: (it) => {
    select(it, 'shedder');
    return words[0];
  },
  LoadShedder,
  PRIORITIES,
  pressureReader,
  priorityOf,
  /** For the vectors, which give the draw and the hour. */
  checkWith: (...given) => checkWith(...given),
  levelAt: (...given) => levelAt(...given),
};
