'use strict';

class TidegateError extends Error {
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

const when = (ms) => (ms === Infinity ? 'never' : `in ${Math.ceil(ms)} ms`);

class RateLimitedError extends RefusedError {
  constructor(message = 'rate limited', retryAfterMs = 0) {
    super(`${message} (retry ${when(retryAfterMs)})`, 'ERR_TIDEGATE_RATE_LIMITED', retryAfterMs);
  }
}

class CircuitOpenError extends RefusedError {
  constructor(breaker, retryAfterMs, trip = null) {
    const again = retryAfterMs === Infinity ? 'once it is reset' : when(retryAfterMs);
    super(`circuit '${breaker}' is open (retry ${again})`, 'ERR_TIDEGATE_CIRCUIT_OPEN', retryAfterMs);
    this.breaker = breaker;
    this.trip = trip;
  }
}

class QueueFullError extends RefusedError {
  constructor(message = 'queue is full', retryAfterMs = 1000) {
    super(`${message} (retry ${when(retryAfterMs)})`, 'ERR_TIDEGATE_QUEUE_FULL', retryAfterMs);
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
    super(`${message} (retry ${when(retryAfterMs)})`, 'ERR_TIDEGATE_CONCURRENCY_LIMIT', retryAfterMs);
  }
}

class ArenaError extends TidegateError {
  constructor(message = 'the arena cannot be opened', kind = 'system') {
    super(message, 'ERR_TIDEGATE_ARENA');
    this.kind = kind;
  }
}

// On the prototypes, so that a subclass has its own name without doing anything.
for (const error of [
  TidegateError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
  ConcurrencyLimitError,
  ArenaError,
]) {
  Object.defineProperty(error.prototype, 'name', { value: error.name, writable: true, configurable: true });
}

module.exports = {
  ArenaError,
  ConcurrencyLimitError,
  TidegateError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
};
