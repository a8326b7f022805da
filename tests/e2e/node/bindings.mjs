// Uses what Python has made, and says a line for each thing that it sees: node bindings.mjs
import { createInterface } from 'node:readline';
import { CircuitBreaker, ConcurrencyLimiter, LoadShedder, Metrics, RateLimiter, TokenBucket } from 'tidegate';

const scope = 'host:bindings';
const attempt = (make) => {
  try {
    return make();
  } catch (error) {
    return `${error.name} ${error.kind}: ${error.message}`;
  }
};
const bucket = new TokenBucket({ rate: '1/hour', burst: 10, scope, name: 'bucket' });
const limiter = new RateLimiter({ rate: '3/hour', scope, name: 'limiter', maxKeys: 1000 });
const breaker = new CircuitBreaker('breaker', { scope });
const permits = new ConcurrencyLimiter({ limit: 2, scope, name: 'permits' });
const shedder = new LoadShedder({ signals: ['loopLag', 'queueDelay'], scope, name: 'shedder' });
const held = [];
const commands = {
  take: () => bucket.tryAcquire(),
  key: () => limiter.check('käse\u{1F9C0}').remaining,
  open: () => breaker.forceOpen() ?? 'opened',
  hold: () => held.push(permits.tryAcquire()) && held.at(-1) !== null,
  quota: () => bucket.setQuota({ rate: '1/hour', burst: 5 }) ?? 'set',
  conflict: () => attempt(() => new TokenBucket({ rate: '2/hour', burst: 10, scope, name: 'bucket' })),
  shed: () => shedder.admit(),
  figures: () => JSON.stringify(new Metrics({ scope }).families()),
  shape: () => attempt(() => new RateLimiter({ rate: '3/hour', scope, name: 'bucket' })),
};
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) console.log(`> ${commands[line]()}`);
