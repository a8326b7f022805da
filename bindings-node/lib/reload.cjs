'use strict';
// Reload of policies: what changed, when, and who is told.

const { statSync } = require('node:fs');
const { constants } = require('node:os');
const { isDeepStrictEqual } = require('node:util');
const check = require('./check.cjs');
const { PolicyError } = require('./errors.cjs');

const [INTERVAL, SHORTEST, LONGEST] = [2_000, 10, 86_400_000];

/** The error that the core tells: a message, and the problems as JSON. */
function errorOf([message, problems], cause) {
  const told = JSON.parse(problems).map(({ hint, ...problem }) => ({ ...problem, hint: hint ?? undefined }));
  const error = new PolicyError(message, told);
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** One thing that a reload has changed. */
class Change {
  constructor({ path, before, after }) {
    this.path = path;
    this.before = before ?? undefined;
    this.after = after ?? undefined;
  }

  static of(given) {
    return new Change(given);
  }

  toString() {
    const { path, before, after } = this;
    if (before === undefined) return after ? `${path}: becomes ${after}` : `${path}: is added`;
    if (after === undefined) return `${path}: is no longer ${before || 'there'}`;
    return `${path}: ${before} becomes ${after}`;
  }
}

/** Of what is changed in place: what is known and there now, and says otherwise or comes back (the third), or `all`. */
function changed(before, known, after, all) {
  return ['limits', 'concurrency', 'shedders', 'breakers'].flatMap((section) =>
    Object.entries(known[section] ?? {})
      .filter(([name]) => Object.hasOwn(after[section] ?? {}, name))
      .map(([name, old]) => [section, name, !Object.hasOwn(before[section] ?? {}, name), old])
      .filter(([, name, returns, old]) => all || returns || !isDeepStrictEqual(old, after[section][name]))
      .map(([, name, returns]) => [section, name, returns]),
  );
}

const warn = (message) => process.emitWarning(message, 'TidegateWarning');

/** When a policy is read again, and what was said of it. */
class Reloading {
  /** Reloads that changed nothing, for what was wrong. */
  failed = 0;
  #path;
  #seen;
  /** The last mistake, and the last policy of another process. */
  #said = {};

  constructor(path) {
    this.#path = path;
    this.look();
  }

  #file() {
    if (this.#path === undefined) return undefined;
    try {
      const { mtimeNs, ino, size } = statSync(this.#path, { bigint: true });
      return `${mtimeNs} ${ino} ${size}`;
    } catch {
      return undefined;
    }
  }

  /** What the file is now. */
  look() {
    this.#seen = this.#file();
  }

  /** Whether it is another than when it was read last. */
  isChanged() {
    return this.#file() !== this.#seen;
  }

  /** Reloads where there is a reason, and tells of what came of it, each thing once. Throws nothing. */
  #once(policy, isAsked, onReload) {
    let done;
    try {
      done = isAsked ? policy.reload() : policy.reloadIfChanged();
    } catch (error) {
      const { message } = error;
      this.#say('wrong', message, `the policy stays as it is, nothing of the file was applied:\n${message}`);
      return;
    }
    if (done !== undefined) this.#said.wrong = undefined;
    const found = policy.inForce;
    if (found !== undefined && found.hash !== policy.hash) {
      this.#say(
        'other',
        found.hash,
        `another process has put the policy ${found.hash} in force in ${policy.scope}, number ${found.generation} ` +
          `there; here ${policy.hash} was read: all that is shared follows the other, until this file says the same ` +
          'or is reloaded',
      );
    } else this.#said.other = undefined;
    if (done === undefined || onReload === undefined) return;
    try {
      Promise.resolve(onReload(done)).catch((error) => this.#complain(error));
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error) {
    warn(`onReload of a policy failed; the policy is in force all the same: ${error?.message ?? check.show(error)}`);
  }

  #say(about, what, message) {
    if (this.#said[about] === what) return;
    this.#said[about] = what;
    warn(message);
  }

  #listener(where, options, known) {
    const given = check.options(options, where, known);
    if (this.#path === undefined) throw check.valueError(`${where}: the policy was made of no file`);
    if (given.onReload !== undefined) check.callable(given.onReload, 'onReload');
    return given;
  }

  watch(policy, options = {}) {
    const { intervalMs = INTERVAL, onReload } = this.#listener('watch', options, ['intervalMs', 'onReload']);
    const allowed = `a number of milliseconds from ${SHORTEST} to ${LONGEST}`;
    if (typeof intervalMs !== 'number') {
      throw check.typeError(`intervalMs must be ${allowed}, got ${check.show(intervalMs)}`);
    }
    if (!(intervalMs >= SHORTEST && intervalMs <= LONGEST)) {
      throw check.rangeError(`intervalMs must be ${allowed}, got ${intervalMs}`);
    }
    // Who holds a gate alone has the policy watched all the same; the process ends without it.
    let seen = this.#file();
    const look = () => {
      const before = seen;
      seen = this.#file();
      // Another than at the last look: who saves it may not have ended, and half of a file may be a policy too.
      if (seen === before) this.#once(policy, false, onReload);
    };
    const timer = setInterval(look, intervalMs).unref();
    return watchOf(() => clearInterval(timer));
  }

  reloadOn(policy, signal, options) {
    const { onReload } = this.#listener('reloadOn', options, ['onReload']);
    checkSignal(signal);
    const listener = () => this.#once(policy, true, onReload);
    try {
      process.on(signal, listener);
    } catch (error) {
      throw noSignal(signal, error);
    }
    return watchOf(() => process.off(signal, listener));
  }
}

function checkSignal(signal) {
  check.text(signal, 'signal');
  // Of any other name Node makes an event that never comes.
  if (!Object.hasOwn(constants.signals, signal)) throw noSignal(signal);
}

/** `cause`: the system lets no program have it. */
function noSignal(signal, cause = undefined) {
  const why = cause === undefined ? 'is no signal of this system' : 'cannot be heard by a program';
  const error = check.valueError(
    `signal: ${check.show(signal)} ${why}; give one that can, such as 'SIGHUP' or 'SIGUSR2'`,
  );
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** What reloads a policy by itself, until `cancel()`. */
function watchOf(cancel) {
  const watch = { cancel };
  if (Symbol.dispose !== undefined) watch[Symbol.dispose] = cancel;
  return watch;
}

module.exports = { Change, Reloading, changed, errorOf };
