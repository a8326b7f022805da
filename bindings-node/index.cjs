'use strict';

const { addon } = require('./lib/native.cjs');
const { Reservation, TokenBucket } = require('./lib/bucket.cjs');
const { CircuitBreaker, Permit } = require('./lib/breaker.cjs');
const { BoundedQueue } = require('./lib/queue.cjs');
const { ManualClock } = require('./lib/clock.cjs');
const {
  TidegateError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
} = require('./lib/errors.cjs');

// By name, so that node finds them when an ES module imports this file.
module.exports = {
  version: addon.version,
  TokenBucket,
  Reservation,
  CircuitBreaker,
  Permit,
  BoundedQueue,
  ManualClock,
  TidegateError,
  RateLimitedError,
  CircuitOpenError,
  QueueFullError,
  QueueClosedError,
  QueueEmptyError,
};
