// The gates of tests/vectors/http_situations.json, and how requests ask them, as our options.
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import {
  BoundedQueue,
  CircuitBreaker,
  ConcurrencyLimiter,
  Gate,
  LoadShedder,
  RateLimiter,
  TokenBucket,
} from 'tidegate';

/** A shedder that refuses everything up to `normal`, for eight intervals and more. */
export async function closed() {
  const signals = [{ kind: 'gauge' as const, start: 0, full: 1, read: () => 1 }];
  const options = { rise: 1, minAdmit: 0, intervalMs: 10_000, criticalAfterMs: 3_600_000 };
  const shedder = new LoadShedder({ signals, ...options });
  while (shedder.admit('normal')) await setTimeout(1);
  return shedder;
}

/** What is full, or open, as the gate's options. */
const FULL: Record<string, (t: TestContext) => any> = {
  concurrency(t) {
    const database = new ConcurrencyLimiter({ limit: 1 });
    const permit = database.tryAcquire();
    t.after(() => permit?.release());
    return { concurrency: { database } };
  },
  queue() {
    const jobs = new BoundedQueue({ capacity: 1, highWatermark: 1 });
    jobs.tryPush(1);
    return { queue: { jobs } };
  },
  shedder: async () => ({ shedder: { main: await closed() } }),
  breaker() {
    const payment = new CircuitBreaker('payment', { consecutiveFailures: 1, cooldownMs: 60_000 });
    payment.acquire().failure();
    return { dependencies: { payment } };
  },
};

/** What a header says. */
const said = (text: string) => (request: any) => request.headers[text.slice('header:'.length)];
const valueOrSaid = (value: any) => (typeof value === 'string' ? said(value) : value);

/** `{ gate, asking }` of a case. */
export async function gateOf(t: TestContext, config: any): Promise<{ gate: Gate; asking: any }> {
  const { limits = {}, concurrency, full = [], allow, deny, refund_on, dry_run, key, cost, ...asking } = config;
  const parts: any = {};
  for (const [name, { rate, keyed }] of Object.entries<any>(limits)) {
    (parts.limits ??= {})[name] = keyed ? new RateLimiter({ rate }) : new TokenBucket({ rate });
  }
  if (concurrency !== undefined) parts.concurrency = { database: new ConcurrencyLimiter({ limit: concurrency }) };
  for (const kind of full) Object.assign(parts, await FULL[kind]?.(t));
  if (allow !== undefined || deny !== undefined) parts.access = { allow: allow ?? [], deny: deny ?? [] };
  const gate = new Gate('orders', { ...parts, refundOn: refund_on ?? [], dryRun: dry_run === true });
  if (key !== undefined) asking.key = key;
  if (cost !== undefined) {
    const asked = valueOrSaid(cost);
    asking.cost = typeof asked === 'function' ? (request: any) => Number(asked(request) ?? 1) : asked;
  }
  if (asking.priority !== undefined) asking.priority = valueOrSaid(asking.priority);
  return { gate, asking };
}
