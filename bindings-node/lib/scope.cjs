'use strict';
// Where state lives: `scope`, `name` and `onConflict` of every constructor. What they mean is the core's to say.

const { resolve } = require('node:path');
const { addon, numbers, words } = require('./native.cjs');
const check = require('./check.cjs');
const { selectClock } = require('./clock.cjs');
const { ArenaError } = require('./errors.cjs');
const { shown } = require('./show.cjs');

const PLACE = ['scope', 'name', 'onConflict'];
/** Where the numbers of a scope stand, and how it was given; src/scope.rs has the same lists. */
const AT = { capacity: 22, given: 23 };
const AS = { text: 0, host: 1, process: 2 };
/** What the addon puts before the kind of an arena's error. */
const CODE = 'TIDEGATE_ARENA/';

let hostOf, processOf;
/** Of instances that live in a named scope: that, and their name there. */
const places = new WeakMap();

const bytesOf = (capacity) =>
  capacity === undefined ? undefined : check.whole(capacity, 'capacity', 1, Number.MAX_SAFE_INTEGER);

/** Checks the name and the capacity of an arena as the core would on opening it. */
function checkNamed(name, capacity) {
  numbers[AT.capacity] = capacity ?? NaN;
  addon.scope.check(undefined, undefined, name);
}

/** An arena of this machine with options, as a value for `scope`. Opens nothing by itself. */
class HostScope {
  #name;
  #path;
  #capacity;
  #group;

  static {
    hostOf = (value) =>
      value !== null && typeof value === 'object' && #name in value
        ? { name: value.#name, path: value.#path, capacity: value.#capacity, group: value.#group }
        : undefined;
  }

  constructor(name, options = {}) {
    const given = check.options(options, 'new HostScope', ['path', 'capacity', 'group']);
    const { path, capacity, group } = given;
    this.#name = check.text(name, 'name');
    this.#path = path === undefined ? undefined : check.text(path, 'path');
    this.#capacity = bytesOf(capacity);
    const number = typeof group === 'number' ? String(check.whole(group, 'group')) : group;
    this.#group = number === undefined ? undefined : check.text(number, 'group (a name or a number)');
    checkNamed(name, this.#capacity);
  }

  get name() {
    return this.#name;
  }

  get path() {
    return this.#path;
  }

  get capacity() {
    return this.#capacity;
  }

  get group() {
    return this.#group;
  }
}

shown(HostScope, (scope) => hostOf(scope));

/** An arena of this process with options, as a value for `scope`. Makes nothing by itself. */
class ProcessScope {
  #name;
  #capacity;

  static {
    processOf = (value) =>
      value !== null && typeof value === 'object' && #name in value
        ? { name: value.#name, capacity: value.#capacity }
        : undefined;
  }

  constructor(name, options = {}) {
    const { capacity } = check.options(options, 'new ProcessScope', ['capacity']);
    this.#name = check.text(name, 'name');
    this.#capacity = bytesOf(capacity);
    checkNamed(name, this.#capacity);
  }

  get name() {
    return this.#name;
  }

  get capacity() {
    return this.#capacity;
  }
}

shown(ProcessScope, (scope) => processOf(scope));

/** Whether it is a scope; opens nothing. */
function checkScope(scope) {
  if (hostOf(scope) !== undefined || processOf(scope) !== undefined) return;
  if (typeof scope !== 'string') {
    throw check.typeError(
      `scope must be 'process', 'process:NAME', 'host:NAME', a HostScope or a ProcessScope, got ${check.show(scope)}`,
    );
  }
  addon.scope.check(undefined, scope);
}

/** Whether an object can be made there on this clock, of which an arena has its own; opens nothing. */
function checkPlace(scope, clock) {
  checkScope(scope);
  if (clock !== undefined && scope !== 'process') {
    const kind = hostOf(scope) ? 'host:' : processOf(scope) && 'process:';
    const shown = kind === undefined ? scope : kind + scope.name;
    const why = 'has a clock of its own, which everybody in it reads; leave clock out';
    throw check.valueError(`clock: the scope ${check.show(shown)} ${why}`);
  }
}

/** Where a scope is, as a text that two ways to say the same place have in common: `host:orders\0/run/tidegate`. */
function scopeKey(scope) {
  const { name, path } = hostOf(scope) ?? processOf(scope) ?? {};
  const text = name === undefined ? said(scope) : `${hostOf(scope) === undefined ? 'process' : 'host'}:${name}`;
  return `${text}\0${text.startsWith('host:') ? resolve(path ?? process.env.TIDEGATE_DIR ?? '') : ''}`;
}

/** Whether it is an object's own, which nobody finds by a name. */
const isPrivate = (scope) => typeof (scope ?? '') === 'string' && ['process', ''].includes(said(scope));

const said = (scope) => String(scope ?? process.env.TIDEGATE_SCOPE ?? 'process');

/** The objects with names in named scopes, as long as somebody has them. */
const opened = new Map();
const ended = new FinalizationRegistry((key) => {
  if (opened.get(key)?.deref() === undefined) opened.delete(key);
});

const keyOf = (scope, name) => `${scopeKey(scope)}\0${name}`;

function note(scope, name, instance) {
  const key = keyOf(scope, name);
  opened.set(key, new WeakRef(instance));
  ended.register(instance, key);
}

/** Whether an object of this name has been made in this process, and is there still. */
const isOpen = (scope, name) => opened.get(keyOf(scope, name))?.deref() !== undefined;

/** The object of this name is an application's declaration, which keeps an account of its own. */
const leaveOut = (scope, name) => void opened.delete(keyOf(scope, name));

/** Writes how a scope was given: what it is as text, and the `HostScope`'s parts. */
function writeScope(scope) {
  const host = hostOf(scope);
  const given = host ?? processOf(scope);
  numbers[AT.given] = given === undefined ? AS.text : host === undefined ? AS.process : AS.host;
  numbers[AT.capacity] = given?.capacity ?? NaN;
  return { host, text: given?.name ?? scope };
}

const say = (notices) => {
  for (const notice of notices) process.emitWarning(notice, 'TidegateWarning');
};

/** Holds the arena of a scope open with `operation`; whether it has one. */
function open(operation, instance, scope) {
  if (scope !== undefined) checkScope(scope);
  const { host, text } = writeScope(scope);
  let notices;
  try {
    notices = operation(instance, text, undefined, undefined, host?.path, host?.group);
  } catch (error) {
    throw asArenaError(error);
  }
  say(notices ? notices.split('\n') : []);
  return notices === undefined ? undefined : words[0];
}

/** `{ scope, name }` of an instance that lives in a named scope. */
const placeOf = (instance) => places.get(instance);

/**
 * Makes the native object of `instance` with `operation`, where `place` says; `own` are texts of its own.
 *
 * To be called last: the numbers of the block are written, and nothing of the caller's runs any more.
 * @returns its place in the addon's table as `id`; limits of one `domain` may be one decision (a LimitSet)
 */
function create(operation, instance, { scope, name, onConflict, clock }, ...own) {
  if (scope !== undefined) checkScope(scope);
  if (name !== undefined) check.text(name, 'name');
  if (onConflict !== undefined) check.text(onConflict, 'onConflict');
  const { host, text } = writeScope(scope);
  selectClock(clock);
  let lives;
  try {
    lives = operation(instance, text, name, onConflict, host?.path, host?.group, ...own);
  } catch (error) {
    throw asArenaError(error);
  }
  const id = words[0];
  if (name !== undefined && !isPrivate(scope)) note(scope, name, instance);
  const [at, ...notices] = lives?.split('\n') ?? [];
  say(notices);
  if (at !== undefined) places.set(instance, { scope: at, name });
  const domain = lives === undefined ? clock : `${at} ${host?.path ?? ''}`;
  return { id, clock, domain, name };
}

function asArenaError(error) {
  return error.code?.startsWith(CODE) ? new ArenaError(error.message, error.code.slice(CODE.length)) : error;
}

module.exports = {
  HostScope,
  PLACE,
  ProcessScope,
  checkPlace,
  checkScope,
  create,
  isOpen,
  isPrivate,
  leaveOut,
  open,
  placeOf,
  scopeKey,
};
