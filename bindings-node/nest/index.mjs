// The same objects as require('tidegate/nest').
export {
  TidegateModule,
  TidegateGuard,
  TidegateExceptionFilter,
  TidegateRegistry,
  RateLimitException,
  RateLimit,
  SkipRateLimit,
  InjectBreaker,
  InjectBoundedQueue,
  getBreakerToken,
  getBoundedQueueToken,
} from './index.cjs';
