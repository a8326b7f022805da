// What is measured: by row and contender, a function that makes `n` calls (a promise where the contender is async).
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { inHostScope } from './host.mjs';

const require = createRequire(import.meta.url);

/** A token bucket as one writes it by hand. */
class NaiveBucket {
  constructor(ratePerSecond, burst) {
    this.ratePerMs = ratePerSecond / 1000;
    this.burst = burst;
    this.tokens = burst;
    this.last = performance.now();
  }

  tryAcquire(n = 1) {
    const now = performance.now();
    this.tokens = Math.min(this.burst, this.tokens + (now - this.last) * this.ratePerMs);
    this.last = now;
    if (this.tokens < n) return false;
    this.tokens -= n;
    return true;
  }
}

// Admits every call of a run: a bucket that denies does less.
const RATE = 1e8;
const BURST = 2 ** 32 - 1;
const tidegateBucket = async (place = {}) => {
  const { TokenBucket } = await import('tidegate');
  return () => new TokenBucket({ rate: RATE, burst: BURST, ...place });
};
const naiveBucket = async () => () => new NaiveBucket(RATE, BURST);

/** `n` calls at one call site that sees `count` instances in turn. */
const buckets = (count, kind) => async () => {
  const make = await kind();
  const all = Array.from({ length: count }, make);
  const mask = count - 1;
  return (n) => {
    let admitted = 0;
    for (let i = 0; i < n; i += 1) if (all[i & mask].tryAcquire()) admitted += 1;
    if (admitted !== n) throw new Error(`${n - admitted} of ${n} were denied`);
  };
};

const rawCall = async () => {
  const { addon } = require(join(dirname(require.resolve('tidegate')), 'lib/native.cjs'));
  const { nothing } = addon.probe;
  return (n) => {
    for (let i = 0; i < n; i += 1) nothing();
  };
};

/** Keys in an order that no cache foresees. */
const KEYS = 10_000;
const names = Array.from({ length: KEYS }, (_, index) => `user:${String(index).padStart(12, '0')}`);
const ORDER = Array.from({ length: 2 ** 16 }, (_, index) => names[(index * 7919 + ((index * index) >>> 7)) % KEYS]);

const keyed = (make) => async () => {
  const limit = await make();
  return (n) => {
    let admitted = 0;
    for (let i = 0; i < n; i += 1) if (limit.tryAcquire(ORDER[i & 0xffff])) admitted += 1;
    if (admitted !== n) throw new Error(`${n - admitted} of ${n} were denied`);
  };
};
const keyedAsync = (make) => async () => {
  const hit = await make();
  return async (n) => {
    for (let i = 0; i < n; i += 1) await hit(ORDER[i & 0xffff]);
  };
};

/** A bucket per key in a Map, as one writes it by hand: nothing ever leaves it. */
class NaiveLimiter {
  buckets = new Map();

  tryAcquire(key, n = 1) {
    let bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, (bucket = new NaiveBucket(1, 500_000)));
    return bucket.tryAcquire(n);
  }
}

// Slow to come back, so that every key stays live, and large enough that none is ever denied.
const tidegateKeyed = keyed(async () => {
  const { RateLimiter } = await import('tidegate');
  return new RateLimiter({ rate: '1/s', burst: 500_000, maxKeys: 2 * KEYS });
});
const naiveKeyed = keyed(async () => new NaiveLimiter());
const flexibleKeyed = keyedAsync(async () => {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: 3600 });
  return (key) => limiter.consume(key);
});
const memoryStore = keyedAsync(async () => {
  const { MemoryStore } = await import('express-rate-limit');
  const store = new MemoryStore();
  store.init({ windowMs: 3_600_000 });
  return (key) => store.increment(key);
});
const tidegateStore = keyedAsync(async () => {
  const { TidegateStore } = await import('tidegate/express-rate-limit');
  const store = new TidegateStore({ maxKeys: 2 * KEYS });
  store.init({ windowMs: 3_600_000 });
  return (key) => store.increment(key);
});

const throttlerStorage = keyedAsync(async () => {
  const { ThrottlerStorageService } = await import('@nestjs/throttler');
  const storage = new ThrottlerStorageService();
  return (key) => storage.increment(key, 60_000, Number.MAX_SAFE_INTEGER, 0, 'default');
});

const rateLimiterFlexible = async () => {
  const { RateLimiterMemory } = await import('rate-limiter-flexible');
  const limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: 3600 });
  return async (n) => {
    for (let i = 0; i < n; i += 1) await limiter.consume('key');
  };
};

const work = async (x) => x + 1;

const tidegateCall = async () => {
  const { CircuitBreaker } = await import('tidegate');
  const guarded = new CircuitBreaker('bench').wrap(work);
  return async (n) => {
    for (let i = 0; i < n; i += 1) await guarded(i);
  };
};

const opossum = async () => {
  const { default: Opossum } = await import('opossum');
  const breaker = new Opossum(work, { timeout: false });
  return async (n) => {
    for (let i = 0; i < n; i += 1) await breaker.fire(i);
  };
};

/** As its users write it, the call in a function. */
const tidegateRetry = (withBudget) => async () => {
  const { RetryBudget, RetryPolicy } = await import('tidegate');
  const policy = new RetryPolicy(withBudget ? { budget: new RetryBudget() } : {});
  return async (n) => {
    for (let i = 0; i < n; i += 1) await policy.call(() => work(i));
  };
};

const cockatielRetry = async () => {
  const { ExponentialBackoff, handleAll, retry } = await import('cockatiel');
  const policy = retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() });
  return async (n) => {
    for (let i = 0; i < n; i += 1) await policy.execute(() => work(i));
  };
};

const tidegatePolicies = async () => {
  const { CircuitBreaker, Resilience, RetryPolicy, Timeout } = await import('tidegate');
  const attemptTimeout = new Timeout({ attemptMs: 2000 });
  const guarded = new Resilience({ retry: new RetryPolicy(), breaker: new CircuitBreaker('bench'), attemptTimeout });
  return async (n) => {
    for (let i = 0; i < n; i += 1) await guarded.call(() => work(i));
  };
};

const cockatielPolicies = async () => {
  const { CountBreaker, ExponentialBackoff, TimeoutStrategy, circuitBreaker, handleAll, retry, timeout, wrap } =
    await import('cockatiel');
  const breaker = new CountBreaker({ threshold: 0.5, size: 20 });
  const policy = wrap(
    retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker }),
    timeout(2000, TimeoutStrategy.Aggressive),
  );
  return async (n) => {
    for (let i = 0; i < n; i += 1) await policy.execute(() => work(i));
  };
};

const bareCall = async () => async (n) => {
  for (let i = 0; i < n; i += 1) await work(i);
};

const concurrencyPermits = async (place = {}) => {
  const { ConcurrencyLimiter } = await import('tidegate');
  const limiter = new ConcurrencyLimiter({ limit: 10, ...place });
  return (n) => {
    for (let i = 0; i < n; i += 1) limiter.tryAcquire().release();
  };
};

const tidegatePermit = async () => {
  const { CircuitBreaker } = await import('tidegate');
  const breaker = new CircuitBreaker('bench');
  return (n) => {
    for (let i = 0; i < n; i += 1) breaker.acquire().success();
  };
};

const tidegateQueue = async () => {
  const { BoundedQueue } = await import('tidegate');
  const queue = new BoundedQueue({ capacity: 1000 });
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      queue.tryPush(i);
      queue.tryPop();
    }
  };
};

const tidegateProcessor = async () => {
  const { Processor } = await import('tidegate');
  const processor = new Processor(work, { workers: 10 });
  return async (n) => {
    const results = [];
    for (let i = 0; i < n; i += 1) results.push((await processor.submit(i)).result);
    await Promise.all(results);
  };
};

const pLimit = async () => {
  const { default: limiter } = await import('p-limit');
  const limit = limiter(10);
  return async (n) => {
    const results = [];
    for (let i = 0; i < n; i += 1) results.push(limit(work, i));
    await Promise.all(results);
  };
};

/** It calls in threads, which the others do not: what its hand-over costs. */
const piscina = async () => {
  const { Piscina } = await import('piscina');
  const filename = new URL('piscina_task.mjs', import.meta.url).href;
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 10 });
  return async (n) => {
    const results = [];
    for (let i = 0; i < n; i += 1) results.push(pool.run(i));
    await Promise.all(results);
  };
};

/** A limit of each key, a concurrency limit, a shedder and a circuit; `shut`: the circuit refuses. */
const gate = async (shut = false) => {
  const { CircuitBreaker, ConcurrencyLimiter, Gate, LoadShedder, RateLimiter } = await import('tidegate');
  const payment = new CircuitBreaker('payment');
  if (shut) payment.forceOpen();
  return new Gate('bench', {
    limits: { client: new RateLimiter({ rate: '1/s', burst: 500_000, maxKeys: 2 * KEYS }) },
    concurrency: { database: new ConcurrencyLimiter({ limit: 10 }) },
    shedder: { main: new LoadShedder({ signals: [{ kind: 'gauge', start: 0, full: 1 }] }) },
    dependencies: { payment },
  });
};
const NEEDS = ['payment'];
const admissions = async () => {
  const orders = await gate();
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      const admission = orders.admit({ keys: { client: ORDER[i & 0xffff] }, dependencies: NEEDS });
      if (!admission.allowed) throw new Error(`refused by ${admission.deniedBy}`);
      admission.finish();
    }
  };
};
const refusals = async () => {
  const orders = await gate(true);
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      if (orders.admit({ keys: { client: ORDER[i & 0xffff] }, dependencies: NEEDS }).allowed) throw new Error('let in');
    }
  };
};
const gateCall = async () => {
  const orders = await gate();
  return async (n) => {
    for (let i = 0; i < n; i += 1) {
      await orders.call(() => work(i), { keys: { client: ORDER[i & 0xffff] }, dependencies: NEEDS });
    }
  };
};

export const ROWS = [
  {
    work: 'bucket, one instance',
    floor: 'raw N-API call',
    targets: [{ of: 'naive JS class', most: 0.7 }],
    contenders: {
      tidegate: buckets(1, tidegateBucket),
      'naive JS class': buckets(1, naiveBucket),
      'rate-limiter-flexible': rateLimiterFlexible,
      'raw N-API call': rawCall,
    },
  },
  {
    work: 'bucket, eight instances at one call site',
    floor: 'raw N-API call',
    targets: [{ of: 'naive JS class', most: 0.95 }],
    contenders: {
      tidegate: buckets(8, tidegateBucket),
      'naive JS class': buckets(8, naiveBucket),
      'raw N-API call': rawCall,
    },
  },
  {
    work: 'keyed by a 17-character string, 10,000 keys',
    floor: 'raw N-API call',
    targets: [{ of: 'naive JS Map', most: 1.1 }],
    contenders: {
      tidegate: tidegateKeyed,
      'naive JS Map': naiveKeyed,
      'rate-limiter-flexible': flexibleKeyed,
      '@nestjs/throttler storage': throttlerStorage,
      'express-rate-limit MemoryStore': memoryStore,
      'raw N-API call': rawCall,
    },
  },
  {
    work: "express-rate-limit's store, 10,000 keys",
    floor: 'raw N-API call',
    targets: [],
    contenders: { tidegate: tidegateStore, MemoryStore: memoryStore, 'raw N-API call': rawCall },
  },
  {
    work: 'breaker, async call that succeeds',
    floor: 'the call alone',
    targets: [{ of: 'opossum', most: 0.5 }],
    contenders: { tidegate: tidegateCall, opossum, 'the call alone': bareCall },
  },
  {
    work: 'retry, async call that succeeds',
    floor: 'the call alone',
    targets: [{ of: 'cockatiel', most: 1 }],
    contenders: {
      tidegate: tidegateRetry(false),
      'tidegate with a budget': tidegateRetry(true),
      cockatiel: cockatielRetry,
      'the call alone': bareCall,
    },
  },
  {
    work: 'retry, breaker and timeout, async call that succeeds',
    floor: 'the call alone',
    targets: [{ of: 'cockatiel', most: 0.3 }],
    contenders: { tidegate: tidegatePolicies, cockatiel: cockatielPolicies, 'the call alone': bareCall },
  },
  {
    work: 'breaker, acquire + success',
    floor: 'raw N-API call',
    targets: [],
    contenders: { tidegate: tidegatePermit, 'raw N-API call': rawCall },
  },
  {
    work: 'gate of a limit, a concurrency limit, a shedder and a circuit, admit + finish',
    floor: 'raw N-API call',
    targets: [
      { of: 'tryAcquire of its limit', most: 2 },
      { of: "cockatiel's retry, breaker and timeout", most: 0.1 },
    ],
    contenders: {
      tidegate: admissions,
      'tidegate, call of an async function': gateCall,
      'tryAcquire of its limit': tidegateKeyed,
      "cockatiel's retry, breaker and timeout": cockatielPolicies,
      'raw N-API call': rawCall,
    },
  },
  {
    work: 'gate, a refusal',
    floor: 'raw N-API call',
    targets: [{ of: 'an admission', most: 0.5 }],
    contenders: { tidegate: refusals, 'an admission': admissions, 'raw N-API call': rawCall },
  },
  {
    work: 'token bucket in host scope',
    floor: 'raw N-API call',
    targets: [{ of: 'process scope', most: 1.1 }],
    contenders: {
      tidegate: buckets(1, inHostScope(tidegateBucket)),
      'process scope': buckets(1, () => tidegateBucket()),
      'raw N-API call': rawCall,
    },
  },
  {
    work: 'concurrency limit in host scope, tryAcquire + release',
    floor: 'raw N-API call',
    targets: [{ of: 'process scope', most: 1.1 }],
    contenders: {
      tidegate: inHostScope(concurrencyPermits),
      'process scope': () => concurrencyPermits(),
      'raw N-API call': rawCall,
    },
  },
  {
    work: 'queue, tryPush + tryPop',
    floor: 'raw N-API call',
    targets: [],
    contenders: { tidegate: tidegateQueue, 'raw N-API call': rawCall },
  },
  {
    work: 'processor, 10 at once, async call that succeeds',
    floor: 'the call alone',
    targets: [{ of: 'piscina', most: 1 }],
    contenders: { tidegate: tidegateProcessor, 'p-limit': pLimit, piscina, 'the call alone': bareCall },
  },
];
