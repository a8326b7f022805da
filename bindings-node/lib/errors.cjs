'use strict';

const { addon, numbers } = require('./native.cjs');

/**
 * On each prototype: what it is, in names that every copy of the package and every framework's own exception can carry.
 */
const KINDS = Symbol.for('tidegate.kinds');
/** On a guarded object, where a framework owns it: makes of its refusal the framework's own exception. */
const REFUSAL = Symbol('tidegate.refusal');

class TidegateError extends Error {
  /** Also an error of another copy of this package, or an exception that carries the kinds of one. */
  static [Symbol.hasInstance](value) {
    try {
      if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
      return (
        Object.hasOwn(this.prototype, KINDS) &&
        Array.isArray(value?.[KINDS]) &&
        value[KINDS].includes(this.prototype[KINDS][0])
      );
    } catch {
      // A Proxy or a getter that throws when it is looked at: none of ours.
      return false;
    }
  }

  constructor(message, code = 'ERR_TIDEGATE') {
    super(message);
    this.code = code;
  }
}

class RefusedError extends TidegateError {
  constructor(message, code, retryAfterMs) {
    super(message, code);
    this.retryAfterMs = retryAfterMs;
  }
}

/** "limiter (100/s) refused 1 token" → with ": try again in 0.5 s". */
function withWait(message, retryAfterMs) {
  numbers[0] = retryAfterMs;
  return `${message}: ${addon.refusal.tryAgain()}`;
}

function circuitText(breaker, retryAfterMs, trip, ramping) {
  const { calls, failed, slow } = trip ?? { calls: 0, failed: 0, slow: 0 };
  numbers[0] = retryAfterMs;
  numbers[1] = calls;
  numbers[2] = failed;
  numbers[3] = slow;
  numbers[4] = ramping ? 1 : 0;
  return addon.refusal.circuit(undefined, String(breaker));
}

class RateLimitedError extends RefusedError {
  constructor(message = 'rate limited', retryAfterMs = 0) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_RATE_LIMITED', retryAfterMs);
  }
}

class CircuitOpenError extends RefusedError {
  constructor(breaker, retryAfterMs, trip = null, ramping = false) {
    super(circuitText(breaker, retryAfterMs, trip, ramping), 'ERR_TIDEGATE_CIRCUIT_OPEN', retryAfterMs);
    this.breaker = breaker;
    this.trip = trip;
    this.ramping = ramping;
  }
}

class QueueFullError extends RefusedError {
  constructor(message = 'queue is full', retryAfterMs = 1000) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_QUEUE_FULL', retryAfterMs);
  }
}

class QueueClosedError extends TidegateError {
  constructor(message = 'queue is closed') {
    super(message, 'ERR_TIDEGATE_QUEUE_CLOSED');
  }
}

class QueueEmptyError extends TidegateError {
  constructor(message = 'queue is still empty') {
    super(message, 'ERR_TIDEGATE_QUEUE_EMPTY');
  }
}

class ConcurrencyLimitError extends RefusedError {
  constructor(message = 'too many at once', retryAfterMs = 1000) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_CONCURRENCY_LIMIT', retryAfterMs);
  }
}

class AccessDeniedError extends RefusedError {
  constructor(message = 'access denied', retryAfterMs = Infinity) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_ACCESS_DENIED', retryAfterMs);
  }
}

class ThrottledError extends RefusedError {
  constructor(message = 'throttled', retryAfterMs = 1000) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_THROTTLED', retryAfterMs);
  }
}

class OverloadedError extends RefusedError {
  constructor(message = 'overloaded', retryAfterMs = 1000) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_OVERLOADED', retryAfterMs);
  }
}

class TimeoutExceededError extends TidegateError {
  constructor(message = 'call timed out', retryAfterMs = 0) {
    super(message, 'ERR_TIDEGATE_TIMEOUT_EXCEEDED');
    this.retryAfterMs = retryAfterMs;
  }
}

class RetryBudgetExceededError extends RefusedError {
  constructor(message = 'retry budget exceeded', retryAfterMs = 0, attempts = 1, cause = undefined) {
    super(withWait(message, retryAfterMs), 'ERR_TIDEGATE_RETRY_BUDGET_EXCEEDED', retryAfterMs);
    this.attempts = attempts;
    Object.defineProperty(this, 'cause', { value: cause, writable: true, configurable: true });
  }
}

class ArenaError extends TidegateError {
  constructor(message = 'the arena cannot be opened', kind = 'system') {
    super(message, 'ERR_TIDEGATE_ARENA');
    this.kind = kind;
  }
}

class PolicyError extends TidegateError {
  constructor(message = 'the policy is wrong', problems = []) {
    super(message, 'ERR_TIDEGATE_POLICY');
    this.problems = problems;
  }
}

// On the prototypes, so that a subclass has its own name without doing anything.
for (const error of [
  TidegateError,
  RefusedError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
  ConcurrencyLimitError,
  AccessDeniedError,
  ThrottledError,
  OverloadedError,
  RetryBudgetExceededError,
  TimeoutExceededError,
  ArenaError,
  PolicyError,
]) {
  Object.defineProperty(error.prototype, 'name', { value: error.name, writable: true, configurable: true });
  const kinds = [error.name, ...(Object.getPrototypeOf(error.prototype)[KINDS] ?? [])];
  Object.defineProperty(error.prototype, KINDS, { value: kinds });
}

// The name of the platform's own, that of AbortSignal.timeout(): who looks for that finds this one too.
TimeoutExceededError.prototype.name = 'TimeoutError';

/** On a TimeoutExceededError: the call had no time left and was not made, so it says nothing of the dependency. */
const UNMADE = Symbol.for('tidegate.unmade');

function unmade(message) {
  return Object.defineProperty(new TimeoutExceededError(message), UNMADE, { value: true });
}
const isUnmade = (error) => error instanceof TimeoutExceededError && error[UNMADE] === true;

/** A refusal to make a call, of which nothing follows for the dependency; every error of ours but what timed out. */
const isRefusal = (error) =>
  error instanceof TidegateError && (!(error instanceof TimeoutExceededError) || isUnmade(error));

/** What `object` throws for `error`. */
const refusalOf = (object, error) => object[REFUSAL]?.(error) ?? error;

module.exports = {
  KINDS,
  REFUSAL,
  isRefusal,
  isUnmade,
  refusalOf,
  unmade,
  AccessDeniedError,
  ArenaError,
  ConcurrencyLimitError,
  OverloadedError,
  PolicyError,
  RetryBudgetExceededError,
  ThrottledError,
  TidegateError,
  TimeoutExceededError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
};
