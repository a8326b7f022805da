'use strict';

const { clientIp, firstOf, header, route, user } = require('../http/keys.cjs');
const { CircuitBreaker } = require('./circuit_breaker.cjs');
const {
  InjectBoundedQueue,
  InjectBreaker,
  InjectConcurrencyLimiter,
  InjectGate,
  RateLimit,
  SkipRateLimit,
} = require('./decorators.cjs');
const { RateLimitException, RefusedException } = require('./exception.cjs');
const { TidegateExceptionFilter } = require('./filter.cjs');
const { Admitted, Gate } = require('./gates.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { TidegateModule } = require('./module.cjs');
const { overloadGuard, sheddingGuard } = require('./overload.cjs');
const { TidegateInterceptor } = require('./refusals.cjs');
const { TidegateRegistry } = require('./registry.cjs');
const { getBoundedQueueToken, getBreakerToken, getConcurrencyLimiterToken, getGateToken } = require('./tokens.cjs');

module.exports = {
  TidegateModule,
  TidegateGuard,
  TidegateExceptionFilter,
  TidegateInterceptor,
  TidegateRegistry,
  RateLimitException,
  RefusedException,
  RateLimit,
  SkipRateLimit,
  CircuitBreaker,
  Gate,
  Admitted,
  overloadGuard,
  sheddingGuard,
  InjectBreaker,
  InjectBoundedQueue,
  InjectConcurrencyLimiter,
  InjectGate,
  getBreakerToken,
  getBoundedQueueToken,
  getConcurrencyLimiterToken,
  getGateToken,
  clientIp,
  firstOf,
  header,
  route,
  user,
};
