'use strict';
// What the end of a call says of the dependency: one answer for whoever guards calls to it.

const { types } = require('node:util');
const { addon, words, numbers } = require('./native.cjs');
const { isReason, isTimeUp } = require('./abort.cjs');
const { verifyCalled } = require('./callee.cjs');
const check = require('./check.cjs');
const codes = require('./codes.cjs');
const { abandon, isPromise } = require('./promise.cjs');
const { isRefusal } = require('./errors.cjs');
const { membersOf } = require('./group.cjs');

/**
 * What our own rules say of something that anybody may have thrown: where a getter or a Proxy throws when it is looked
 * at, that it is nothing they know. So whoever holds a permit can ask, and the caller has the error that there was.
 */
function quietly(ask, otherwise) {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}

/** In the order in which they are asked; the first that says yes is the answer. */
const OPTIONS = ['ignore', 'unreached', 'failureOn', 'failureResult', 'retryAfterMs', 'slow', 'slowCallDurationMs'];

/** Whatever can be thrown: an error's class, that of another realm too, or a class that is no Error. */
const isClass = (value) =>
  value === Error || value.prototype instanceof Error || /^class\b/.test(Function.prototype.toString.call(value));

/** A function of the application, which must answer at once; `wanted` says what else may stand there. */
function asked(value, name, wanted = name) {
  if (value === http) throw check.typeError(`${name}: http makes a Classifier when it is called; write http()`);
  if (isClassifier(value)) {
    const taken = 'a CircuitBreaker takes it as classifier, in place of these';
    throw check.typeError(`${name}: a Classifier is no predicate; ${taken}`);
  }
  check.callable(value, wanted);
  verifyCalled(value, name);
  if (types.isAsyncFunction(value)) throw check.typeError(`${name} must answer at once, and async functions do not`);
  return (subject) => {
    const answer = value(subject);
    if (!isPromise(answer)) return answer;
    abandon([answer]);
    throw check.typeError(`${name} must answer at once, got a promise`);
  };
}

/** What was given, or an array of such, as one predicate; `single` makes that of one. */
function anyOf(value, name, single) {
  if (!Array.isArray(value)) return single(value, name);
  const predicates = value.map((entry) => anyOf(entry, name, single));
  return (subject) => {
    for (const fits of predicates) {
      const answer = fits(subject);
      if (answer) return answer;
    }
    return false;
  };
}

function oneError(value, name, allowed = 'an error class, a predicate') {
  if (typeof value === 'function' && isClass(value)) return (error) => quietly(() => error instanceof value, false);
  return asked(value, name, `${name} (${allowed}, or an array of them)`);
}

/** "Which errors": a class, a predicate, or an array of either → one predicate. */
const errorMatcher = (value, name) => anyOf(value, name, (one) => oneError(one, name));

/** "Which results": a predicate, or an array of them. */
const resultMatcher = (value, name) => anyOf(value, name, asked);

/**
 * As `errorMatcher`; also a Classifier, for what it counts as a failure of the call. Its predicate answers true, false,
 * or with what a Classifier said. A group that it does not name is named where all of its members are.
 */
function errorFilter(value, name) {
  const fits = anyOf(value, name, oneFilter);
  return (error) => fits(error) || (membersOf(error)?.every((one) => fits(one)) ?? false);
}

function oneFilter(value, name) {
  if (isClassifier(value)) return (error) => failedOf(value.error(error));
  const fits = oneError(value, name, 'an error class, a predicate, a Classifier');
  return (error) => Boolean(fits(error));
}

/** What an `errorFilter` says of results: what the first Classifier in it says that counts this one as a failure. */
function resultFilter(value) {
  const readers = [value].flat(Infinity).filter((one) => isClassifier(one) && readsResults(one));
  if (readers.length === 0) return undefined;
  return anyOf(readers, undefined, (one) => (result) => failedOf(one.result(result)));
}

const failedOf = (classified) => ['failure', 'unreached'].includes(classified.outcome) && classified;

/** NaN: not known. */
const durationOf = (durationMs) => (durationMs === undefined ? NaN : check.span(durationMs, 'durationMs'));

const slowMs = (value) => check.period(value, 'slowCallDurationMs');

const optional = (value, make, name) => (value === undefined ? undefined : make(value, name));

/** undici says by the error of an abort, which nobody asked for, that a proxy made no tunnel. */
const isTunnelRefused = (error) =>
  error?.code === 'UND_ERR_ABORTED' && typeof error.message === 'string' && error.message.startsWith('Proxy response');

/** axios says so of every abort. */
const isAxiosAbort = (error) => error?.code === 'ERR_CANCELED';

/** Whether an abort is a signal's own timeout: Node gives the signal's reason as the cause, axios the signal. */
const isAbortInTime = (error) => isTimeUp(error.cause) || isTimeUp(error.config?.signal?.reason);

/** cockatiel has one error for a timeout of its own and for a call whose signal had ended it, and tells by the text. */
const isTask = (error, isLate) =>
  error?.isTaskCancelledError === true && /^Operation timed out/.test(error.message) === isLate;

const isAbort = (error) =>
  isTask(error, false) ||
  ((isAxiosAbort(error) || (error?.name === 'AbortError' && !isTunnelRefused(error))) && !isAbortInTime(error));

/** By the caller, as fetch, undici and node, or as axios, got and cockatiel say it: nothing about the dependency. */
const isCancelled = (error) => quietly(() => isAbort(error), false) || isReason(error);

/** By which Node, undici and this package say that an argument was wrong; `fetch` gives undici's error as the cause. */
const isMistaken = (error) =>
  quietly(() => codes.isWrongArgument(error?.code ?? (error?.name === 'TypeError' ? error.cause?.code : '')), false);

/**
 * Whether what a server's code threw is an answer to its own client: Nest's HttpException, or an error of http-errors,
 * below 500. It says nothing of what the code depends on. A client's error, which has the dependency's answer, is none.
 */
const isAnswered = (error) => ownStatus(error) < 500;

/** Of an error with which a server's code answers its own client, whichever status it is; NaN: it is no such answer. */
const ownStatus = (error) => quietly(() => (types.isNativeError(error) ? answeredStatus(error) : NaN), NaN);

function answeredStatus(error) {
  const isNest = typeof error.getStatus === 'function' && typeof error.getResponse === 'function';
  // As `isHttpError` tells them, and none that was made of a client's error.
  const isPlain = typeof error.expose === 'boolean' && error.response === undefined;
  const status = isNest ? error.getStatus() : isPlain && error.status === error.statusCode && error.status;
  return Number.isInteger(status) && status >= 100 ? status : NaN;
}

let isClassifier;
let readsResults;
let slowFrom;

const isNeutral = ({ outcome }) => outcome === 'cancelled' || outcome === 'ignore';
const isSuccess = ({ outcome }) => outcome === 'success';
const BAD = ['unreached', 'failure'];

/** The one that says more against the dependency; of two waits the longer. */
function worse(one, other) {
  const more = BAD.indexOf(other.outcome) - BAD.indexOf(one.outcome);
  return more > 0 || (more === 0 && (other.retryAfterMs ?? 0) > (one.retryAfterMs ?? 0)) ? other : one;
}

/**
 * What a call's end is. The first that fits: cancelled, refused by us, `ignore`, `unreached`, a failure, a wrong
 * argument or an answer to the program's own client unless that is named as one, slow; success. Of a group that no
 * option names it is what the worst of its members is.
 */
class Classifier {
  #ignore;
  #unreached;
  #failureOn;
  /** Whether that is every error, and so names none in particular. */
  #isAnyFailure;
  #failureResult;
  #retryAfterMs;
  #slow;
  #slowMs;

  static {
    slowFrom = (self) => self.#slowMs;
    isClassifier = (value) => value !== null && typeof value === 'object' && #ignore in value;
    readsResults = (self) => self.#failureResult !== undefined || self.#slow !== undefined;
  }

  constructor(options = {}) {
    const given = check.options(options, 'new Classifier', OPTIONS);
    this.#ignore = optional(given.ignore, errorMatcher, 'ignore');
    this.#unreached = optional(given.unreached, errorMatcher, 'unreached');
    this.#failureOn = optional(given.failureOn, errorMatcher, 'failureOn');
    this.#isAnyFailure = given.failureOn === Error;
    this.#failureResult = optional(given.failureResult, resultMatcher, 'failureResult');
    this.#retryAfterMs = optional(given.retryAfterMs, asked, 'retryAfterMs');
    this.#slow = optional(given.slow, resultMatcher, 'slow');
    this.#slowMs = optional(given.slowCallDurationMs, slowMs);
  }

  get slowCallDurationMs() {
    if (!isClassifier(this)) throw check.detached('Classifier', 'slowCallDurationMs');
    return this.#slowMs;
  }

  error(error, durationMs = undefined) {
    if (!isClassifier(this)) throw check.detached('Classifier', 'error');
    const took = durationOf(durationMs);
    const members = membersOf(error);
    return this.#after(members === undefined ? this.#one(error) : this.#group(error, members), took);
  }

  /** A success that took at least as long as is slow. */
  #after(classified, took) {
    if (this.#slowMs !== undefined && took >= this.#slowMs && isSuccess(classified)) classified.outcome = 'slow';
    return classified;
  }

  #group(group, members) {
    const all = members.map((member) => this.#one(member));
    if (all.every(({ outcome }) => outcome === 'cancelled')) return all[0];
    if (all.every(isNeutral)) return { outcome: 'ignore', retryAfterMs: undefined };
    const own = this.#one(group);
    return isSuccess(own) ? all.filter((one) => !isNeutral(one)).reduce(worse, own) : own;
  }

  /** What is no group, or is to be taken as a whole. */
  #one(error) {
    if (isCancelled(error)) return { outcome: 'cancelled', retryAfterMs: undefined };
    if (isRefusal(error) || this.#ignore?.(error)) return { outcome: 'ignore', retryAfterMs: undefined };
    if (this.#unreached?.(error)) return { outcome: 'unreached', retryAfterMs: undefined };
    const fits = this.#failureOn?.(error);
    const isNamed = fits && !this.#isAnyFailure;
    // No call was made that anybody could have answered; or its maker answers a client of its own.
    if (!isNamed && (isMistaken(error) || isAnswered(error))) return { outcome: 'ignore', retryAfterMs: undefined };
    if (this.#failureOn !== undefined && !fits) return { outcome: 'success', retryAfterMs: undefined };
    return { outcome: 'failure', retryAfterMs: this.#wait(error) };
  }

  result(result, durationMs = undefined) {
    if (!isClassifier(this)) throw check.detached('Classifier', 'result');
    const took = durationOf(durationMs);
    if (this.#failureResult?.(result)) return { outcome: 'failure', retryAfterMs: this.#wait(result) };
    if (this.#slow?.(result)) return { outcome: 'slow', retryAfterMs: undefined };
    return this.#after({ outcome: 'success', retryAfterMs: undefined }, took);
  }

  #wait(subject) {
    const wait = this.#retryAfterMs?.(subject) ?? undefined;
    return wait === undefined ? undefined : check.span(wait, 'retryAfterMs');
  }
}

/** The status and headers of a Response, of what http clients resolve with, or of the error that they throw for one. */
const answerOf = (subject) => quietly(() => findAnswer(subject), undefined);

function findAnswer(subject) {
  for (const one of [subject, subject?.response]) {
    for (const status of [one?.status, one?.statusCode]) {
      if (!Number.isInteger(status) || status < 100 || status > 599) continue;
      return {
        status,
        // Some errors repeat the status of their response, and not its headers. Only read when asked: it may throw.
        get headers() {
          return one.headers ?? subject.response?.headers;
        },
      };
    }
  }
  return undefined;
}

function field(headers, name) {
  let value;
  if (typeof headers?.get === 'function') value = headers.get(name);
  else if (headers !== null && typeof headers === 'object') {
    const key = Object.keys(headers).find((key) => key.toLowerCase() === name);
    value = key === undefined ? undefined : headers[key];
  }
  if (Array.isArray(value)) [value] = value;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** Whether the answer failed, by the core's word. Reads no headers: every answer is asked this. */
function isFailed({ status }) {
  numbers[0] = status;
  addon.httpAnswer.failed();
  return words[1] === 1;
}

/** The ms that the answer asks for, by the core's word; undefined: it asks for nothing. */
function askedMs({ status, headers }, maxRetryAfterMs, nowMs = Date.now()) {
  const fields = ['retry-after', 'retry-after-ms', 'date'].map((name) => field(headers, name));
  numbers[0] = status;
  numbers[1] = maxRetryAfterMs;
  numbers[2] = nowMs;
  addon.httpAnswer.retryAfter(undefined, ...fields);
  return Number.isNaN(numbers[0]) ? undefined : numbers[0];
}

/** What has a name and not always a code: a signal's timeout, and undici's parser. */
const UNCODED = new Set(['HTTPParserError', 'TimeoutError']);

/** The error, and what caused it: `fetch` wraps the connection's own. Causes that anybody can write may be circular. */
function* causes(error) {
  for (let depth = 0; depth < 8 && error !== null && typeof error === 'object'; depth++) {
    yield error;
    // Those of a group itself are judged one by one.
    const several = depth > 0 || membersOf(error) === undefined ? error.errors : undefined;
    yield* (Array.isArray(several) ? several.slice(0, 8) : []).filter((one) => typeof one === 'object' && one !== null);
    error = error.cause;
  }
}

const some = (error, fits) => quietly(() => [...causes(error)].some(fits), false);
const TIMEOUT = /(^|_)TIMEOUT$|^E(SOCKET)?TIMEDOUT$/;

/** A timeout that has neither name nor code of one. */
const isHiddenTimeout = (one) => isTask(one, true) || (isAxiosAbort(one) && isAbortInTime(one));

const isOneTimeout = (one) =>
  one.name === 'TimeoutError' || codes.matches(TIMEOUT, one.code) || isHiddenTimeout(one);

/** Whether a client gave up waiting. */
const isTimeout = (error) => some(error, isOneTimeout);

const isOneLost = (one) =>
  codes.isFailure(one.code) || UNCODED.has(one.name) || isTunnelRefused(one) || isHiddenTimeout(one);

/** Whether there was no answer that could be read to its end. */
const isLost = (error) => some(error, isOneLost);

/**
 * axios says by one code that an answer was cut off or is garbled, and that the caller wants none of its status, such
 * as 304: the caller's `validateStatus` tells which.
 */
const isBadResponse = (error, status) =>
  quietly(() => error.code === 'ERR_BAD_RESPONSE' && error.config?.validateStatus?.(status) !== false, false);

/** undici's retries end by one code for a status that they give up on, and for a good one whose rest cannot be had. */
const isCutOff = (error, status) => quietly(() => error.code === 'UND_ERR_REQ_RETRY' && status < 300, false);

/** Whether an error that carries an answer is a failure: by its status, or since a good one has no end. */
const isFailedBy = (error, answer) => isFailed(answer) || (answer.status < 400 && isUnusable(error, answer.status));

const isUnusable = (error, status) => isBadResponse(error, status) || isCutOff(error, status) || isLost(error);

/** How an HTTP call ended: 5xx, 429, timeouts and connection errors fail; other answers are successes. */
function http(options = {}) {
  const given = check.options(options, 'http', ['maxRetryAfterMs', 'slow', 'slowCallDurationMs']);
  const { maxRetryAfterMs = 300_000, slow, slowCallDurationMs } = given;
  check.span(maxRetryAfterMs, 'maxRetryAfterMs');
  return new Classifier({
    slow,
    slowCallDurationMs,
    ignore: (error) =>
      isAnswered(error) || (answerOf(error) === undefined && some(error, ({ code }) => codes.isUnmade(code))),
    unreached: (error) => answerOf(error) === undefined && some(error, ({ code }) => codes.isUnreached(code)),
    failureOn(error) {
      const answer = answerOf(error);
      return answer === undefined ? isLost(error) : isFailedBy(error, answer);
    },
    failureResult(result) {
      const answer = answerOf(result);
      return answer !== undefined && isFailed(answer);
    },
    retryAfterMs(subject) {
      const answer = answerOf(subject);
      return answer === undefined ? undefined : quietly(() => askedMs(answer, maxRetryAfterMs), undefined);
    },
  });
}

module.exports = {
  Classifier,
  answerOf,
  askedMs,
  errorFilter,
  field,
  http,
  isAnswered,
  isCancelled,
  isClassifier,
  isFailed,
  isFailedBy,
  isMistaken,
  isTimeout,
  ownStatus,
  quietly,
  readsResults,
  resultFilter,
  /** The ms from which its successes are slow; undefined: none is. */
  slowFrom: (classifier) => slowFrom(classifier),
};
