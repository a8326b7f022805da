// retrier.py, in Node.
import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, RetryBudget, RetryPolicy } from 'tidegate';

const scope = 'host:bank';
const breaker = new CircuitBreaker('bank', {
  consecutiveFailures: 1,
  cooldownMs: 50,
  probes: 1,
  probeTimeoutMs: 3_600_000,
  scope,
});
const budget = new RetryBudget({ ratio: 0, minPerSecond: 0.5, ttlMs: 4000, name: 'retries', scope });
const policy = new RetryPolicy({ attempts: 2, baseMs: 3_600_000, maxDelayMs: 3_600_000, jitter: 'none', budget });
const retried = policy.call(async () => {
  throw Object.assign(new Error('the bank hung up'), { code: 'ECONNRESET' });
});
breaker.acquire().failure();
let probe;
while ((probe = breaker.tryAcquire()) === null) await sleep(10);
while (budget.stats().withdrawn === 0) await sleep(10);
console.log('ready');
await retried;
probe.success();
