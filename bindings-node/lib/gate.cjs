'use strict';
// All that stands before a service as one decision: what one part refuses takes nothing of the others.

const { addon, words, numbers, bits, each } = require('./native.cjs');
const { CircuitBreaker, breakerPlace } = require('./breaker.cjs');
const check = require('./check.cjs');
const { ConcurrencyLimiter, concurrencyPlace, handOn, partitionNumber } = require('./concurrency.cjs');
const { Deadline } = require('./deadline.cjs');
const {
  AccessDeniedError,
  CircuitOpenError,
  ConcurrencyLimitError,
  OverloadedError,
  QueueFullError,
  RateLimitedError,
  refusalOf,
  unmade,
} = require('./errors.cjs');
const { Fallback } = require('./fallback.cjs');
const { watchOver } = require('./forgotten.cjs');
const { AccessList, listPlace } = require('./http.cjs');
const { asKey } = require('./key.cjs');
const { LimitSet, setKeys, setPlace } = require('./limit_set.cjs');
const { measured } = require('./measured.cjs');
const { outcomeOf } = require('./outcome.cjs');
const { complain } = require('./promise.cjs');
const { BoundedQueue, queuePlace } = require('./queue.cjs');
const { writeMode } = require('./quota.cjs');
const { NAMES } = require('./settings.cjs');
const { LoadShedder, levelFrom, priorityOf, readSignals, shedderPlace } = require('./shed.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { gate: native } = addon;
const { admit, finish } = native;

const PARTS = ['limits', 'concurrency', 'shedder', 'queue', 'dependencies', 'access'];
const OPTIONS = [...PARTS, 'refundOn', 'enabled', 'dryRun'];
const REQUEST = new Set([
  'keys',
  'priority',
  'cost',
  'deadline',
  'deadlineMs',
  'dependencies',
  'address',
  'level',
  'partition',
]);
const REQUESTS = [...REQUEST].join(', ');
/** In the order of the core's numbers. */
const KINDS = NAMES.gate_kinds;
const STATUS = { access: 403, deadline: 504, shedder: 503, queue: 503, breaker: 503, concurrency: 503, limit: 429 };
const OUTCOMES = ['success', 'failure', 'dropped', 'cancelled'];
/** Where the parts stand among the numbers, the dependencies among the members of a set; src/gate.rs has the same. */
const [REFUND_ON, MODE, DEPENDENCIES] = [5, 6, 8];
const MOST_DEPENDENCIES = 64;
const HAS_ADDRESS = 2 ** 31;
const [FIELD, LINE] = ['\u001f', '\u001e'];
const LEVEL_BITS = 8;
const NOTHING = Object.freeze({});
/** What the file of a gate's policy says to those who stand before it: keys by limit, priorities by route. */
const UNTOLD = Object.freeze({ keys: NOTHING, priority: undefined });
const NO_NEEDS = Object.freeze([]);
/** The dependencies of the call that is read: a bit each, in two words. */
const needs = { low: 0, high: 0 };
const CANCELLED = OUTCOMES.indexOf('cancelled');

/** Of each part its class, and its place in the addon's table. */
const CLASSES = {
  shedder: [LoadShedder, shedderPlace],
  queue: [BoundedQueue, queuePlace],
  concurrency: [ConcurrencyLimiter, concurrencyPlace],
};

/** A part, or an object of its name and it: `{ name, part }`. Without a name that which it has, else its kind. */
function partOf(kind, given) {
  const [Class] = CLASSES[kind];
  if (given instanceof Class) return { name: given.name ?? kind, part: given };
  const expected = `${kind} must be a ${Class.name}, or an object of its name and it`;
  if (given === null || typeof given !== 'object') throw check.typeError(`${expected}, got ${check.show(given)}`);
  const entries = Object.entries(given);
  if (entries.length !== 1 || !(entries[0][1] instanceof Class)) {
    throw check.typeError(`${expected}, got ${check.show(given)}`);
  }
  return { name: entries[0][0], part: entries[0][1] };
}

function dependenciesOf(given) {
  if (given === null || typeof given !== 'object') {
    throw check.typeError(`dependencies must be an object of CircuitBreakers by name, got ${check.show(given)}`);
  }
  const entries = Object.entries(given);
  if (entries.length > MOST_DEPENDENCIES) {
    throw check.rangeError(`dependencies: ${entries.length} given; a gate has at most ${MOST_DEPENDENCIES}`);
  }
  for (const [name, breaker] of entries) {
    if (!(breaker instanceof CircuitBreaker)) {
      throw check.typeError(`dependencies: '${name}' must be a CircuitBreaker, got ${check.show(breaker)}`);
    }
  }
  return entries;
}

function outcomeNumber(value, name) {
  const place = OUTCOMES.indexOf(value);
  if (place >= 0) return place;
  const allowed = OUTCOMES.map((text) => `'${text}'`).join(', ');
  if (typeof value !== 'string') throw check.typeError(`${name} must be one of ${allowed}, got ${check.show(value)}`);
  throw check.valueError(`${name}: ${check.show(value)} is none of ${allowed}`);
}

const noOption = (method, option) => check.valueError(`${method} has no option '${option}'; it takes ${REQUESTS}`);

/** What is left, in ms; NaN: without an end. What is over is over, by however much. */
function leftOf(deadlineMs, deadline) {
  if (deadline !== undefined) {
    if (deadlineMs !== undefined) throw check.valueError('give deadline or deadlineMs, not both');
    if (!(deadline instanceof Deadline)) {
      throw check.typeError(`deadline must be a Deadline, got ${check.show(deadline)}; milliseconds are deadlineMs`);
    }
    return leftOf(deadline.remainingMs, undefined);
  }
  if (deadlineMs === undefined || deadlineMs === Infinity) return NaN;
  if (typeof deadlineMs === 'number' && deadlineMs < 0) return 0;
  return check.span(deadlineMs, 'deadlineMs');
}

let select;
let end;
let breakerOf;
let errorOf;
let nameOf;
let keep;
let register;
let modeOf;
let tell;
let verifyDependencies;

class Gate {
  /** Its place in the addon's table. */
  #id;
  #name;
  #limits;
  #parts;
  #dependencies;
  /** In the order of the core's places. */
  #dependencyNames;
  #limitNames;
  #partNames;
  /** Where the names of the dependencies stand. */
  #places = new Map();
  /** A permit that comes back may be for one who waits there. */
  #concurrency;
  #shedder;
  #mode;
  /** By number, the admissions since somebody last looked for such as may be forgotten. */
  #young = [];
  #isWatched = false;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('Gate', method);
      words[0] = self.#id;
    };
    end = (self, number, outcome) => {
      words[0] = self.#id;
      words[2] = number;
      words[3] = outcome;
      self.#young[number] = undefined;
      finish();
      const ended = words[1] === 1;
      if (self.#concurrency !== undefined) handOn(self.#concurrency);
      return ended;
    };
    breakerOf = (self, dependency) => {
      if (!Object.hasOwn(self.#dependencies, dependency)) throw self.#noDependency(dependency);
      return self.#dependencies[dependency];
    };
    nameOf = (self, kind, place) => {
      if (kind === 'limit') return self.#limitNames[place];
      if (kind === 'breaker') return self.#dependencyNames[place];
      return self.#partNames[kind] ?? kind;
    };
    errorOf = (self, admission, cost) => self.#errorOf(admission, cost);
    keep = (self, number, admission) => {
      self.#young[number] = admission;
      if (self.#isWatched) return;
      self.#isWatched = true;
      watchOver(self.#age);
    };
    modeOf = (self) => self.#mode;
    tell = (self, told) => {
      self.#mode.told = told;
    };
    verifyDependencies = (self, names) => self.#readNeeds(names);
  }

  /** What is not finished by now may be forgotten. */
  #age = () => {
    this.#isWatched = false;
    this.#young.forEach((admission, number) => {
      if (admission === undefined) return;
      this.#young[number] = undefined;
      register(admission);
    });
  };

  constructor(name, options = {}) {
    if (check.text(name, 'name') === '') throw check.valueError('name: a gate must have a name');
    const given = check.options(options, 'new Gate', OPTIONS);
    const { limits, refundOn = [], access } = given;
    if (!Array.isArray(refundOn)) throw check.typeError(`refundOn must be an array, got ${check.show(refundOn)}`);
    const set = limits === undefined || limits instanceof LimitSet ? limits : new LimitSet(limits);
    const list = access === undefined ? undefined : new AccessList(check.options(access, 'access', ['allow', 'deny']));
    const kinds = ['shedder', 'queue', 'concurrency'];
    const [shedder, queue, concurrency] = kinds.map((kind) =>
      given[kind] === undefined ? undefined : partOf(kind, given[kind]),
    );
    const dependencies = given.dependencies === undefined ? [] : dependenciesOf(given.dependencies);
    const places = [
      list === undefined ? NaN : listPlace(list),
      ...[shedder, queue, concurrency].map((it, at) => (it === undefined ? NaN : CLASSES[kinds[at]][1](it.part))),
      set === undefined ? NaN : setPlace(set),
    ];
    const breakers = dependencies.map(([, breaker]) => breakerPlace(breaker));
    const refunds = refundOn.reduce((all, outcome) => all | (1 << outcomeNumber(outcome, 'refundOn')), 0);
    places.forEach((place, at) => {
      numbers[at] = place;
    });
    numbers[REFUND_ON] = refunds;
    writeMode(given, MODE);
    numbers[DEPENDENCIES] = breakers.length;
    breakers.forEach((place, at) => {
      each[at] = place;
    });
    const names = [name, ...[shedder, queue, concurrency].map((it) => it?.name ?? '')];
    native.create(this, [...names, ...dependencies.map(([dependency]) => dependency)]);
    this.#id = words[0];
    this.#name = name;
    this.#limits = set;
    this.#limitNames = set?.names ?? [];
    this.#dependencyNames = dependencies.map(([dependency]) => dependency);
    this.#partNames = { shedder: shedder?.name, queue: queue?.name, concurrency: concurrency?.name };
    this.#concurrency = concurrency?.part;
    this.#shedder = shedder?.part;
    this.#parts = { concurrency: concurrency?.part, shedder: shedder?.part, queue: queue?.part };
    this.#dependencies = Object.fromEntries(dependencies);
    this.#mode = { isDryRun: given.dryRun === true, hasList: list !== undefined, told: UNTOLD };
    dependencies.forEach(([dependency], at) => {
      this.#places.set(dependency, at);
    });
  }

  admit(request = NOTHING) {
    select(this, 'admit');
    this.#ask('admit', admit, request);
    const admission = new Admission(this);
    // A denial may have ended a probe, whose limit kept others waiting.
    if (!admission.allowed && this.#concurrency !== undefined) handOn(this.#concurrency);
    return admission;
  }

  enter(request = NOTHING) {
    select(this, 'enter');
    const admission = this.admit(request);
    if (!admission.allowed) throw refusalOf(this, this.#errorOf(admission, request.cost));
    return admission;
  }

  explain(request = NOTHING) {
    select(this, 'explain');
    const text = this.#ask('explain', native.explain, request);
    return text
      .split(LINE)
      .filter(Boolean)
      .map((line) => {
        const [kind, name, allowed, retryAfterMs, detail] = line.split(FIELD);
        const wait = retryAfterMs === 'inf' ? Infinity : Number(retryAfterMs);
        return { kind, name, allowed: allowed === '1', retryAfterMs: wait, detail };
      });
  }

  async call(fn, options = NOTHING) {
    select(this, 'call');
    check.callable(fn, 'fn');
    if (options === null || typeof options !== 'object') {
      throw check.typeError(`call takes an object of options, got ${check.show(options)}`);
    }
    const { fallback, ...request } = options;
    if (!('fallback' in options)) return this.#run(fn, request);
    const standIn = fallback instanceof Fallback ? fallback : new Fallback({ static: fallback });
    return (await standIn.call(() => this.#run(fn, request))).value;
  }

  async #run(fn, request) {
    const admission = this.enter(request);
    let result;
    try {
      result = await fn(admission);
    } catch (error) {
      admission.finish(outcomeOf(error));
      throw error;
    }
    admission.finish();
    return result;
  }

  stats() {
    select(this, 'stats');
    native.stats();
    return counted.gate(numbers);
  }

  get name() {
    select(this, 'name');
    return this.#name;
  }

  get limits() {
    select(this, 'limits');
    return this.#limits;
  }

  get concurrency() {
    select(this, 'concurrency');
    return this.#parts.concurrency;
  }

  get shedder() {
    select(this, 'shedder');
    return this.#parts.shedder;
  }

  get queue() {
    select(this, 'queue');
    return this.#parts.queue;
  }

  get dependencies() {
    select(this, 'dependencies');
    return { ...this.#dependencies };
  }

  /** Reads all of the request before it writes to the block: a getter runs the caller's code. */
  #ask(method, operation, request) {
    if (request === null || typeof request !== 'object') {
      throw check.typeError(`${method} takes an object of options (${REQUESTS}), got ${check.show(request)}`);
    }
    for (const option in request) if (!REQUEST.has(option)) throw noOption(method, option);
    const { keys, priority, cost, deadline, deadlineMs, dependencies = NO_NEEDS, address, level, partition } = request;
    const values = this.#limits === undefined ? noKeys(keys) : setKeys(this.#limits, keys);
    const left = leftOf(deadlineMs, deadline);
    const place = priority === undefined ? 2 : priorityOf(priority);
    const within = level === undefined ? 0 : levelFrom(level);
    const tokens = cost === undefined ? 1 : check.whole(cost, 'cost');
    this.#readNeeds(dependencies);
    const { low, high } = needs;
    if (address !== undefined) check.text(address, 'address');
    const share = partition === undefined ? 0 : this.#shareOf(partition);
    if (this.#shedder !== undefined) readSignals(this.#shedder);
    words[0] = this.#id;
    words[1] = tokens;
    words[2] = place;
    words[3] = (address === undefined ? within : within + HAS_ADDRESS) + (share << LEVEL_BITS);
    numbers[0] = left;
    bits[0] = low;
    bits[1] = high;
    if (address !== undefined) return operation(address, ...values);
    // A spread costs as much as the call.
    if (values.length === 0) return operation();
    return values.length === 1 ? operation(values[0]) : operation(...values);
  }

  /** A bit for each dependency, into `needs`. */
  #readNeeds(dependencies) {
    if (!Array.isArray(dependencies)) {
      throw check.typeError(`dependencies must be an array of names, got ${check.show(dependencies)}`);
    }
    let low = 0;
    let high = 0;
    for (let index = 0; index < dependencies.length; index += 1) {
      const at = this.#places.get(dependencies[index]);
      if (at === undefined) throw this.#noDependency(dependencies[index]);
      if (at < 32) low |= 1 << at;
      else high |= 1 << (at - 32);
    }
    needs.low = low;
    needs.high = high;
  }

  #shareOf(partition) {
    if (this.#concurrency !== undefined) return partitionNumber(this.#concurrency, partition);
    const message = 'the gate has no concurrency limit, whose partitions calls belong to; leave it out';
    throw check.valueError(`partition: ${message}`);
  }

  #noDependency(name) {
    const known = Object.keys(this.#dependencies).join(', ');
    const has = known === '' ? 'the gate was made without dependencies' : `the gate has ${known}`;
    return check.valueError(`dependencies: ${check.show(name)} is none; ${has}`);
  }

  /** The error of the part that refused. */
  #errorOf(admission, cost = 1) {
    const { kind, deniedBy, retryAfterMs, pressure } = admission;
    if (kind === 'breaker') {
      const { lastTrip } = this.#dependencies[deniedBy].stats();
      return new CircuitOpenError(deniedBy, retryAfterMs, lastTrip ?? null);
    }
    words[0] = this.#id;
    words[1] = cost;
    words[3] = partWord(admission);
    numbers[0] = retryAfterMs;
    numbers[1] = NaN;
    numbers[2] = pressure;
    const text = native.refused();
    if (kind === 'limit') {
      return Object.assign(new RateLimitedError(text, retryAfterMs), { deniedBy });
    }
    if (kind === 'deadline') return Object.assign(unmade(text), { retryAfterMs });
    const errors = {
      access: AccessDeniedError,
      shedder: OverloadedError,
      queue: QueueFullError,
      concurrency: ConcurrencyLimitError,
    };
    return new errors[kind](text, retryAfterMs);
  }
}

function noKeys(keys) {
  if (keys === undefined) return NO_NEEDS;
  if (keys === null || typeof keys !== 'object') {
    throw check.typeError(`keys must be an object of keys by limit, got ${check.show(keys)}`);
  }
  const [extra] = Object.keys(keys);
  if (extra === undefined) return NO_NEEDS;
  throw check.valueError(`keys: '${extra}' is too many; no limit of this gate takes a key`);
}

let partWord;
let finishWith;

/** What an admission that nobody has any more held comes back, and the log says so once for each gate. */
const forgotten = new FinalizationRegistry((lost) => {
  if (lost.isOver) return;
  lost.permits.forEach((permit) => permit.release());
  end(lost.gate, lost.number, CANCELLED);
  const text = `an admission of the gate ${check.show(lost.gate.name)} was dropped without finish()`;
  complain(text, new Error('what it held is back only now; finish it, say `using`, or let gate.call() do it'));
});

class Admission {
  /** Its gate, until it is finished. */
  #gate;
  /** Its number there. */
  #number = words[2];
  #part = words[3];
  /** The call's own permits of its dependencies. */
  #permits;
  /** What comes back when nobody has it any more, once it is no more young. */
  #lost;

  static {
    register = (self) => {
      const permits = (self.#permits ??= []);
      self.#lost = { gate: self.#gate, number: self.#number, permits, isOver: false };
      forgotten.register(self, self.#lost);
    };
    partWord = (self) => self.#part;
    finishWith = (self, outcome) => self.#finish(outcome);
  }

  constructor(gate) {
    const part = this.#part;
    this.allowed = words[1] === 1;
    this.kind = part === 0 ? undefined : KINDS[(part & ((1 << LEVEL_BITS) - 1)) - 1];
    this.retryAfterMs = numbers[0];
    this.limit = numbers[1];
    this.remaining = numbers[2];
    this.resetAfterMs = numbers[3];
    this.delayMs = numbers[4];
    this.pressure = numbers[5];
    this.deniedBy = part === 0 ? undefined : nameOf(gate, this.kind, part >>> LEVEL_BITS);
    this.gate = gate;
    this.#gate = this.allowed ? gate : null;
    if (this.allowed) keep(gate, this.#number, this);
  }

  get status() {
    return this.allowed || this.kind === undefined ? undefined : STATUS[this.kind];
  }

  breaker(dependency) {
    const permit = breakerOf(this.gate, dependency).acquire();
    if (this.#gate !== null) (this.#permits ??= []).push(permit);
    return permit;
  }

  finish(outcome = 'success') {
    return this.#finish(outcomeNumber(outcome, 'outcome'));
  }

  #finish(outcome) {
    const gate = this.#gate;
    if (gate === null) return false;
    this.#gate = null;
    if (this.#lost !== undefined) this.#lost.isOver = true;
    if (this.#permits !== undefined) for (const permit of this.#permits) permit.release();
    return end(gate, this.#number, outcome);
  }
}

for (const [symbol, dispose] of [
  [
    Symbol.dispose,
    function () {
      finishWith(this, 0);
    },
  ],
  [
    Symbol.asyncDispose,
    async function () {
      finishWith(this, 0);
    },
  ],
]) {
  if (symbol !== undefined) {
    Object.defineProperty(Admission.prototype, symbol, { value: dispose, writable: true, configurable: true });
  }
}

shown(Gate, (gate) => ({ name: gate.name, ...gate.stats() }));

measured(Gate, 'gate', (self) => select(self, 'add'));

module.exports = {
  Admission,
  Gate,
  /** `{ isDryRun, hasList, keys }`: by the names of limits, what a policy file says that they count by. */
  modeOf: (gate) => modeOf(gate),
  /** What such a file says. */
  tell: (gate, told) => tell(gate, told),
  /** Throws for what is no array of names of the gate's dependencies. */
  verifyDependencies: (gate, names) => void verifyDependencies(gate, names),
  /** The error of the part that refused. */
  errorOfAdmission: (gate, admission, cost) => errorOf(gate, admission, cost),
};
