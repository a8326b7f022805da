'use strict';

const {
  addon: { version },
} = require('./lib/native.cjs');
const { Reservation, TokenBucket } = require('./lib/bucket.cjs');
const { RateLimiter, Tier } = require('./lib/limiter.cjs');
const { LimitSet } = require('./lib/limit_set.cjs');
const { CircuitBreaker, Permit } = require('./lib/breaker.cjs');
const { BreakerRegistry } = require('./lib/registry.cjs');
const { Classifier, http } = require('./lib/classify.cjs');
const { BoundedQueue } = require('./lib/queue.cjs');
const { ConcurrencyLimiter, ConcurrencyPermit } = require('./lib/concurrency.cjs');
const { RetryBudget, RetryPolicy } = require('./lib/retry.cjs');
const { ClientThrottle } = require('./lib/throttle.cjs');
const { ClusterLimit } = require('./lib/cluster.cjs');
const { LoadShedder } = require('./lib/shed.cjs');
const { Admission, Gate } = require('./lib/gate.cjs');
const { Deadline } = require('./lib/deadline.cjs');
const { Timeout } = require('./lib/timeout.cjs');
const { cached } = require('./lib/cached.cjs');
const { Fallback, Outcome } = require('./lib/fallback.cjs');
const { Metrics } = require('./lib/metrics.cjs');
const { overloadRetryAfterMs } = require('./lib/outflow.cjs');
const { Policy } = require('./lib/policy.cjs');
const { Processor } = require('./lib/processor.cjs');
const { Readiness } = require('./lib/readiness.cjs');
const { Resilience } = require('./lib/resilience.cjs');
const { HostScope, ProcessScope } = require('./lib/scope.cjs');
const { DateClock, ManualClock } = require('./lib/clock.cjs');
const {
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
} = require('./lib/errors.cjs');

// Plain names only: that is how node finds them when an ES module imports this file.
module.exports = {
  version,
  TokenBucket,
  Reservation,
  RateLimiter,
  Tier,
  LimitSet,
  CircuitBreaker,
  Permit,
  BreakerRegistry,
  Classifier,
  http,
  BoundedQueue,
  ConcurrencyLimiter,
  ConcurrencyPermit,
  RetryPolicy,
  RetryBudget,
  ClientThrottle,
  ClusterLimit,
  LoadShedder,
  Gate,
  Admission,
  Timeout,
  Deadline,
  Fallback,
  Outcome,
  cached,
  Metrics,
  overloadRetryAfterMs,
  Policy,
  Processor,
  Readiness,
  Resilience,
  HostScope,
  ProcessScope,
  DateClock,
  ManualClock,
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
