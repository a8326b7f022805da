'use strict';

const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { InjectBoundedQueue, InjectBreaker, InjectConcurrencyLimiter, RateLimit, SkipRateLimit } = require('./decorators.cjs');
const { RateLimitException } = require('./exception.cjs');
const { TidegateExceptionFilter } = require('./filter.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { TidegateModule } = require('./module.cjs');
const { TidegateRegistry } = require('./registry.cjs');
const { getBoundedQueueToken, getBreakerToken, getConcurrencyLimiterToken } = require('./tokens.cjs');

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
  InjectConcurrencyLimiter,
  getBreakerToken,
  getBoundedQueueToken,
  getConcurrencyLimiterToken,
  clientIp,
  firstOf,
  header,
  route,
  user,
};
