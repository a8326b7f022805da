// The same objects as require('tidegate'): one class identity, whoever imports.
export {
  version,
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
} from './index.cjs';
