'use strict';

const { Inject, Injectable } = require('@nestjs/common');
const { clientKey } = require('./client.cjs');
const { RateLimitException } = require('./exception.cjs');
const { setHeader, setRetryAfter } = require('./problem.cjs');
const { TidegateRegistry } = require('./registry.cjs');

const isPromise = (value) => typeof value?.then === 'function';

/** Refuses a request above one of its route's limits with 429. */
class TidegateGuard {
  #registry;

  constructor(registry) {
    this.#registry = registry;
  }

  /** The key of limits that are keyed and have none of their own: the client's address. */
  getTracker(request, _context) {
    return clientKey(request.ip);
  }

  /** Whether this request is not limited at all. */
  shouldSkip(_context) {
    return false;
  }

  canActivate(context) {
    if (context.getType() !== 'http') return true;
    const limits = this.#registry.limitsOf(context.getClass(), context.getHandler());
    if (limits.length === 0) return true;
    const http = context.switchToHttp();
    const request = http.getRequest();
    // A refused preflight looks like a broken site.
    if (request.method === 'OPTIONS') return true;
    const skip = this.shouldSkip(context);
    const admit = (skipped) => skipped || this.#admit(limits, 0, [], context, request, http.getResponse());
    return isPromise(skip) ? skip.then(admit) : admit(skip);
  }

  /** Charges the limits from `index` on, one after the other; goes on in a promise where a key or cost is one. */
  #admit(limits, index, charged, context, request, response) {
    for (; index < limits.length; index += 1) {
      const limit = limits[index];
      const cost = typeof limit.cost === 'function' ? limit.cost(request, context) : limit.cost;
      const key = limit.keyed ? this.#keyOf(limit, request, context) : undefined;
      if (isPromise(cost) || isPromise(key)) {
        return Promise.all([cost, key]).then(([n, k]) => {
          this.#charge(limit, n, k, charged, response);
          return this.#admit(limits, index + 1, charged, context, request, response);
        });
      }
      this.#charge(limit, cost, key, charged, response);
    }
    this.#present(charged, response);
    return true;
  }

  #keyOf(limit, request, context) {
    return limit.key === undefined ? this.getTracker(request, context) : limit.key(request, context);
  }

  #charge(limit, cost, key, charged, response) {
    const decision = limit.keyed ? limit.source.check(key, cost) : limit.source.check(cost);
    charged.push({ limit, cost, key, decision });
    if (!decision.allowed) this.#refuse(charged, response);
  }

  #refuse(charged, response) {
    const { limit, decision } = charged[charged.length - 1];
    // All or nothing: what the other limits took goes back.
    for (const { limit: other, cost, key } of charged.slice(0, -1)) {
      if (other.keyed) other.source.refund?.(key, cost);
      else other.source.refund?.(cost);
    }
    this.#present(charged, response);
    setRetryAfter(response, decision.retryAfterMs);
    throw new RateLimitException(limit.name, decision.retryAfterMs);
  }

  /** RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10). */
  #present(charged, response) {
    if (!this.#registry.headers) return;
    let policy = '';
    let state = '';
    for (const { limit, decision } of charged) {
      const comma = policy === '' ? '' : ', ';
      policy += comma + limit.policy(decision.limit);
      state += comma + limit.state(decision);
    }
    setHeader(response, 'RateLimit-Policy', policy);
    setHeader(response, 'RateLimit', state);
  }
}
Injectable()(TidegateGuard);
Inject(TidegateRegistry)(TidegateGuard, undefined, 0);

module.exports = { TidegateGuard };
