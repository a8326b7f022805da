'use strict';
// Refusals and timeouts as Nest's HttpException: so they are a 429, 503 or 504 under every filter, one's own catch-all
// included.

const { HttpException } = require('@nestjs/common');
const {
  AccessDeniedError,
  CircuitOpenError,
  ConcurrencyLimitError,
  OverloadedError,
  QueueClosedError,
  QueueFullError,
  RateLimitedError,
  RetryBudgetExceededError,
  ThrottledError,
  TimeoutExceededError,
} = require('../index.cjs');
const { KINDS } = require('../lib/errors.cjs');
const { membersOf } = require('../lib/group.cjs');
const { errorOf } = require('../http/limiter.cjs');
const { forbidden, limited, overloaded, problemOf, retryAfterSeconds, timedOut } = require('../http/problem.cjs');

/** What is answered here. All else, an ArenaError too, is a mistake: a 500 that Nest logs. */
const OVERLOADS = [
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  ConcurrencyLimitError,
  OverloadedError,
  RetryBudgetExceededError,
  ThrottledError,
];
const REFUSALS = [AccessDeniedError, RateLimitedError, TimeoutExceededError, ...OVERLOADS];

/** What a closed queue, which knows no time, tells a client. */
const DEFAULT_RETRY_AFTER_MS = 1000;

/** What a GraphQL client finds in an error's `extensions`; null where waiting does not help. */
const extensionsOf = ({ code, retryAfter = null, retryAfterMs }, status, policies) => ({
  code,
  status,
  retryAfter,
  retryAfterMs: retryAfterMs === Infinity ? null : retryAfterMs,
  ...(policies === undefined ? {} : { violatedPolicies: policies }),
});

/** A property of an exception that `get` makes of it when somebody asks; it may be set as any other. */
const lazy = (name, get) => ({
  get() {
    return get(this);
  },
  set(value) {
    Object.defineProperty(this, name, { value, writable: true, configurable: true });
  },
  configurable: true,
});

let causeOf;

/**
 * The error that a refusal of the guard stands for, and its text: a second stack trace would cost every refusal as much
 * as the first. On each exception, because Nest 12's HttpException has fields of its own.
 */
const LAZY = {
  cause: lazy('cause', (exception) => causeOf(exception)),
  message: lazy('message', (exception) => causeOf(exception).message),
};

/** The guard's refusal. `instanceof RateLimitedError` as well, unless a deny list refused. */
class RateLimitException extends HttpException {
  #refusal;
  #cause;

  constructor(refusal) {
    const problem = problemOf(refusal);
    super(problem, problem.status);
    this.#refusal = refusal;
    Object.defineProperties(this, LAZY);
    this.code = problem.status === 403 ? 'ERR_TIDEGATE_FORBIDDEN' : 'ERR_TIDEGATE_RATE_LIMITED';
    this.retryAfterMs = refusal.retryAfterMs;
    this.retryAfter = refusal.retryAfter;
  }

  static {
    causeOf = (self) =>
      (self.#cause ??= errorOf(self.#refusal) ?? new RateLimitedError(self.#refusal.message, self.retryAfterMs));
  }

  get extensions() {
    return extensionsOf(this, this.getStatus(), this.#refusal.policies);
  }

  get [KINDS]() {
    return this.getStatus() === 429 ? RateLimitedError.prototype[KINDS] : undefined;
  }
}

/**
 * A refusal of a breaker, queue, concurrency limiter or limiter, or a timeout, and still `instanceof` its own error,
 * which is its `cause`.
 */
class RefusedException extends HttpException {
  constructor(error, problem) {
    super(problem, problem.status, { cause: error });
    this.name = error.name;
    this.message = error.message;
    this.stack = error.stack;
    this.code = error.code;
    if (error.breaker !== undefined) this.breaker = error.breaker;
    if (error.trip !== undefined) this.trip = error.trip;
    this.retryAfterMs = error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
    // The 0 of a timeout is "not known", and no "now".
    const isLate = error instanceof TimeoutExceededError && this.retryAfterMs === 0;
    const isKnown = !isLate && !(error instanceof AccessDeniedError);
    this.retryAfter = isKnown ? retryAfterSeconds(this.retryAfterMs) : undefined;
  }

  get extensions() {
    return extensionsOf(this, this.getStatus());
  }

  get [KINDS]() {
    return this.cause[KINDS];
  }
}

const isRefusal = (error) => REFUSALS.some((kind) => error instanceof kind);
const waitOf = ({ retryAfterMs = DEFAULT_RETRY_AFTER_MS }) => retryAfterMs;

/** Of a group of refusals alone, the one that lasts longest. */
function longestOf(error) {
  const members = membersOf(error);
  if (members === undefined || !members.every(isRefusal)) return undefined;
  return members.reduce((longest, one) => (waitOf(one) > waitOf(longest) ? one : longest));
}

/** For filters, which ask by `instanceof`: a group that is answered here. */
class RefusedGroup {
  static [Symbol.hasInstance](value) {
    return longestOf(value) !== undefined;
  }
}

function problemFor(error, overloadStatus) {
  if (error instanceof RateLimitedError) return limited(['default']);
  if (error instanceof AccessDeniedError) return forbidden();
  return error instanceof TimeoutExceededError ? timedOut() : overloaded(overloadStatus);
}

/** `error` as an HttpException where it is a refusal, a timeout, or a group of these alone, else as it is. */
function httpException(thrown, overloadStatus) {
  const error = longestOf(thrown) ?? thrown;
  if (error instanceof HttpException || !isRefusal(error)) return error;
  return refused(error, problemFor(error, overloadStatus));
}

function refused(error, problem) {
  const { stackTraceLimit } = Error;
  // It takes over the error's stack.
  Error.stackTraceLimit = 0;
  try {
    return new RefusedException(error, problem);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** A gate's refusal, with the problem that names the part. */
function gateException(refusal, overloadStatus) {
  if (!refusal.overloaded) return new RateLimitException(refusal);
  return refused(errorOf(refusal) ?? new TimeoutExceededError(refusal.message), problemOf(refusal, overloadStatus));
}

module.exports = { REFUSALS, RefusedGroup, RateLimitException, RefusedException, gateException, httpException };
