'use strict';

const { InjectBoundedQueue, InjectBreaker, RateLimit, SkipRateLimit } = require('./decorators.cjs');
const { RateLimitException } = require('./exception.cjs');
const { TidegateExceptionFilter } = require('./filter.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { TidegateModule } = require('./module.cjs');
const { TidegateRegistry } = require('./registry.cjs');
const { getBoundedQueueToken, getBreakerToken } = require('./tokens.cjs');

module.exports = {
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
};
