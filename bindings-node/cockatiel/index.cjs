'use strict';

const {
  CircuitBreaker,
  ClientThrottle,
  ConcurrencyLimiter,
  RateLimiter,
  RetryPolicy,
  TokenBucket,
} = require('../index.cjs');
const { isTimeUp } = require('../lib/abort.cjs');
const { outcomeOf } = require('../lib/breaker.cjs');
const { verifyCalled } = require('../lib/callee.cjs');
const check = require('../lib/check.cjs');
const { quietly } = require('../lib/classify.cjs');
const { complain } = require('../lib/promise.cjs');

/** For calls that nobody can cancel. */
const NEVER = new AbortController().signal;

/** As cockatiel has it: call it with a listener; what it gives back ends that. */
class Event {
  #listeners = new Set();

  subscribe = (listener) => {
    const entry = { listener: check.callable(listener, 'listener') };
    this.#listeners.add(entry);
    return { dispose: () => void this.#listeners.delete(entry) };
  };

  tell(data) {
    for (const { listener } of this.#listeners) {
      try {
        listener(data);
      } catch (error) {
        complain('a listener of a cockatiel policy failed', error);
      }
    }
  }
}

/** What a call that was ended further in is for a classifier: by its name a timeout. */
class TimedOut extends Error {
  name = 'TimeoutError';
}

/**
 * The error by which a breaker judges a call that its own signal has not ended. A timeout of cockatiel's further in
 * ends it by an abort that nobody asked for, or by a TaskCancelledError, which few classifiers know.
 */
function judgedBy(breaker, error) {
  const outcome = quietly(() => outcomeOf(breaker, error), undefined);
  const isTask = () => outcome === 'success' && error?.isTaskCancelledError === true;
  const isEnded = outcome === 'cancelled' || quietly(isTask, false);
  return isEnded ? new TimedOut('ended by a policy further in', { cause: error }) : error;
}

/** A call that its signal has ended, whatever the function throws then: neither success nor failure. */
async function underBreaker(breaker, fn, signal) {
  const permit = breaker.acquire();
  let result;
  try {
    result = await fn({ signal });
  } catch (error) {
    if (signal.aborted && !isTimeUp(signal.reason)) permit.release();
    else permit.error(judgedBy(breaker, error));
    throw error;
  }
  permit.result(result);
  return result;
}

function underRetry(policy, fn, signal) {
  let attempt = 0;
  return policy.call(() => fn({ signal, attempt: (attempt += 1) - 1 }), { signal });
}

async function underLimit(acquire, fn, signal) {
  await acquire({ timeoutMs: 0, signal });
  return fn({ signal });
}

/** How a call is made under `object`; `key` of a limit per key. */
function runner(object, { key }) {
  if (key !== undefined && !(object instanceof RateLimiter)) throw check.valueError('key is for a RateLimiter');
  if (object instanceof CircuitBreaker) return (fn, signal) => underBreaker(object, fn, signal);
  if (object instanceof RetryPolicy) return (fn, signal) => underRetry(object, fn, signal);
  if (object instanceof ConcurrencyLimiter) return (fn, signal) => object.run(async () => fn({ signal }), { signal });
  if (object instanceof ClientThrottle) return (fn, signal) => object.call(async () => fn({ signal }));
  if (object instanceof TokenBucket) {
    return (fn, signal) => underLimit((options) => object.acquire(1, options), fn, signal);
  }
  if (object instanceof RateLimiter) {
    if (key === undefined) throw check.valueError("a RateLimiter needs a key: asPolicy(limiter, { key: 'bank' })");
    return (fn, signal) => underLimit((options) => object.acquire(key, 1, options), fn, signal);
  }
  throw check.typeError(
    'asPolicy takes a CircuitBreaker, RetryPolicy, ConcurrencyLimiter, ClientThrottle, TokenBucket or RateLimiter, ' +
      `got ${check.show(object)}`,
  );
}

function asPolicy(object, options = {}) {
  const run = runner(object, check.options(options, 'asPolicy', ['key']));
  const [succeeded, failed] = [new Event(), new Event()];
  return {
    onSuccess: succeeded.subscribe,
    onFailure: failed.subscribe,
    async execute(fn, signal = NEVER) {
      verifyCalled(check.callable(fn, 'fn'), 'fn');
      const start = performance.now();
      let value;
      try {
        value = await run(fn, signal);
      } catch (error) {
        failed.tell({ duration: performance.now() - start, handled: true, reason: { error } });
        throw error;
      }
      succeeded.tell({ duration: performance.now() - start });
      return value;
    },
  };
}

module.exports = { asPolicy };
