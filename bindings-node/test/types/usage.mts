// Compiled, never run: what must type-check, and (@ts-expect-error) what must not.
import {
  type ArenaError,
  BoundedQueue,
  type BreakerState,
  CircuitBreaker,
  CircuitOpenError,
  ClientThrottle,
  ConcurrencyLimiter,
  type ConcurrencyPermit,
  Deadline,
  type Decision,
  Fallback,
  HostScope,
  ProcessScope,
  LimitSet,
  ManualClock,
  type Outcome,
  type Permit,
  RateLimiter,
  Processor,
  Readiness,
  type Job,
  Resilience,
  RetryBudget,
  Policy,
  type PolicyWatch,
  RetryPolicy,
  type SetDecision,
  type Tier,
  TidegateError,
  Timeout,
  TimeoutExceededError,
  TokenBucket,
  cached,
  http,
} from 'tidegate';
import { createServer } from 'node:http';
import { guardedAdapter } from 'tidegate/axios';
import { asPolicy } from 'tidegate/cockatiel';
import { guardedFetch } from 'tidegate/fetch';
import { Pacing } from 'tidegate/bullmq';
import { type ConfluentConsumer, Lag, pauseWhen, type Pausing } from 'tidegate/kafka';
import { guardedInterceptor } from 'tidegate/undici';
import axios from 'axios';
import { TimeoutStrategy, timeout as within, wrap } from 'cockatiel';
import { Queue as Jobs, Worker as JobWorker, type Job as QueuedJob } from 'bullmq';
import { Kafka, type Consumer } from 'kafkajs';
import { Agent } from 'undici';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_proof: Same<A, B>): void => {};

const bucket = new TokenBucket({ rate: '400/s', burst: 800, clock: new ManualClock(5n) });
same<ReturnType<typeof bucket.tryAcquire>, boolean>(true);
same<ReturnType<typeof bucket.check>, Decision>(true);
same<ReturnType<typeof bucket.acquire>, Promise<void>>(true);
bucket.setQuota({ rate: 5, perMs: 60_000 });
// @ts-expect-error a rate is needed
new TokenBucket({ burst: 5 });
// @ts-expect-error a count is a number
bucket.tryAcquire('1');
// @ts-expect-error what was decided stays so
bucket.quota = { count: 1, periodMs: 1, burst: 1 };

const limiter = new RateLimiter({
  rate: '100/min',
  maxKeys: 10,
  algorithm: 'token_bucket',
  block: { after: 3, withinMs: 1, durationMs: 1 },
});
same<ReturnType<typeof limiter.check>, Decision>(true);
const pro: Tier = limiter.tier({ rate: '1000/min' });
limiter.tryAcquire(Buffer.from('k'), 1, pro);
// @ts-expect-error a key is text or bytes
limiter.tryAcquire(5);
// @ts-expect-error an algorithm has a name
new RateLimiter({ rate: 1, algorithm: 'gcra' });
// @ts-expect-error a tier comes from its limiter
limiter.check('k', 1, {});

const set = new LimitSet({ user: limiter, everyone: bucket });
same<ReturnType<typeof set.check>, SetDecision>(true);
set.check({ user: 'ann' });
// @ts-expect-error a key is missing
set.check({});
// @ts-expect-error one for everybody takes no key
set.check({ user: 'ann', everyone: 'x' });

const breaker = new CircuitBreaker('payment', {
  cooldownMs: 5000,
  failureOn: [TypeError, (error) => error.status >= 500],
});
same<typeof breaker.state, BreakerState>(true);
same<ReturnType<typeof breaker.tryAcquire>, Permit | null>(true);
const pay = breaker.wrap(async (order: string, cents: number) => ({ order, cents }));
same<
  typeof pay extends (order: string, cents: number) => Promise<{ order: string; cents: number }> ? true : false,
  true
>(true);
const sum: number = breaker.call((a: number, b: number) => a + b, 1, 2);
// @ts-expect-error the argument's type is known
breaker.call((a: number) => a, 'one');
// @ts-expect-error units stand in the name
new CircuitBreaker('payment', { cooldown: 5000 });

export function once(): void {
  using permit = breaker.acquire();
  permit.success(sum);
}

const queue = new BoundedQueue<{ id: string }>({ capacity: 100, onDrop: (item, reason) => `${item.id} ${reason}` });
export async function drain(): Promise<void> {
  for await (const { id } of queue) same<typeof id, string>(true);
}
same<ReturnType<typeof queue.tryPop>, { id: string } | undefined>(true);
// @ts-expect-error an item has its type
queue.tryPush('x');
queue.tryPush({ id: 'x' }, { lane: 0, deadlineMs: 5 });
// @ts-expect-error a strategy has a name
new BoundedQueue({ capacity: 1, onFull: 'explode' });

const database = new ConcurrencyLimiter({ limit: 10, maxWaitMs: 50, scope: 'host:orders', name: 'database' });
same<ReturnType<typeof database.tryAcquire>, ConcurrencyPermit | null>(true);
export async function query(): Promise<number> {
  using permit = await database.acquire({ timeoutMs: 100, signal: AbortSignal.timeout(50) });
  await using other = await database.acquire();
  same<ReturnType<typeof permit.release>, boolean>(true);
  other.release();
  return database.run(async () => 5, { timeoutMs: 5 });
}
const budget = new RetryBudget({ ratio: 0.1 });
const retry = new RetryPolicy({ attempts: Infinity, baseMs: 50, jitter: 'smooth', budget });
same<ReturnType<typeof retry.delays>, Generator<number, void, unknown>>(true);
const charge = retry.wrap(async (order: string, cents: number) => ({ order, cents }));
same<ReturnType<typeof charge>, Promise<{ order: string; cents: number }>>(true);
export const paid: Promise<number> = retry.call(() => 5, { signal: AbortSignal.timeout(50) });
// @ts-expect-error the argument's type is known
charge(7, 8);
// @ts-expect-error units stand in the name
new RetryPolicy({ base: 50 });
// @ts-expect-error a jitter has a name
new RetryPolicy({ jitter: 'fuller' });
const throttle = new ClientThrottle({ k: 1.5, failureOn: [TypeError, http()], scope: 'host:orders', name: 'search' });
export const found: Promise<string[]> = throttle.call(async (words: string) => [words], 'it');

new TokenBucket({
  rate: '1/s',
  scope: new HostScope('orders', { capacity: 2 ** 20, group: 'www' }),
  name: 'all',
  onConflict: 'keep',
});
new CircuitBreaker('payment', { scope: 'process:orders' });
new CircuitBreaker('payment', { scope: new ProcessScope('orders', { capacity: 2 ** 20 }) });
const fromSettings: string = 'host:orders';
new RateLimiter({ rate: '1/s', scope: fromSettings, name: 'all' });
// @ts-expect-error a scope is a text, a HostScope or a ProcessScope
new RateLimiter({ rate: '1/s', scope: 5, name: 'all' });
// @ts-expect-error a breaker has its name already
new CircuitBreaker('payment', { scope: 'process:orders', name: 'other' });
// @ts-expect-error what a conflict comes to has three answers
new TokenBucket({ rate: '1/s', onConflict: 'win' });
export const trouble = (error: ArenaError): boolean => error.kind === 'full';

export const retryAfter = (error: unknown): number | string | undefined => {
  if (error instanceof CircuitOpenError) return error.retryAfterMs;
  return error instanceof TidegateError ? error.code : undefined;
};

breaker.on('opened', ({ trip }) => trip?.failed).once('closed', ({ atMs }) => atMs.toFixed());
// @ts-expect-error an event has a name
breaker.on('open', () => {});

const timeout = new Timeout({ totalMs: 5000, attemptMs: 1000 });
const inTime = timeout.call((signal) => fetch('http://localhost', { signal }), { signal: AbortSignal.timeout(5) });
same<typeof inTime, Promise<Response>>(true);
const timedParse = timeout.wrap(async (text: string) => text.length);
same<typeof timedParse, (this: unknown, text: string) => Promise<number>>(true);
// @ts-expect-error times have units
new Timeout({ total: 5 });
const deadline: Deadline | undefined = Deadline.fromHeaders(new Headers(), { names: 'x-timeout', maxMs: 5000 });
const both: number = Deadline.after(500).run((a: number, b: number) => a + b, 1, 2);
void fetch('http://localhost', { headers: deadline?.headers(), signal: deadline?.signal });
// @ts-expect-error made by after and fromHeaders
new Deadline();
const late: TidegateError = new TimeoutExceededError('late');
const loop: NodeJS.Timeout = Deadline.detached(setInterval, () => {}, 5);
void [both, late, loop, Deadline.current?.remainingMs];

const fallback = new Fallback({
  cached: cached({ maxAgeMs: 60_000, key: (id: number) => id }),
  static: (error: unknown) => String(error),
  alternatives: [async (id: number) => id, { name: 'other', call: (id: number) => id, breaker }],
  queue: new BoundedQueue({ capacity: 5 }),
  order: ['alternatives', 'cached', 'static', 'queue'],
  fallbackOn: [TypeError, http()],
});
const outcome = fallback.call(async (id: number) => [id], 5);
// It may be queued, and have no value.
same<typeof outcome, Promise<Outcome<number[] | undefined>>>(true);
const kept = new Fallback({ static: 0 }).call(() => 'a');
same<typeof kept, Promise<Outcome<string>>>(true);
const unqueued = new Resilience({ fallback: new Fallback({ static: 0 }) }).call(() => 'a');
same<typeof unqueued, Promise<Outcome<string>>>(true);
const aged: (outcome: Outcome<string>) => number | undefined = ({ ageMs }) => ageMs;
// @ts-expect-error a cache is made by cached()
new Fallback({ cached: { maxAgeMs: 5 } });
// @ts-expect-error the argument's type is known
fallback.call((id: number) => id, '5');
const plain = new Resilience({ retry, breaker, throttle, totalTimeout: timeout }).call(
  (signal: AbortSignal) => signal.aborted,
);
same<typeof plain, Promise<boolean>>(true);
const backed = new Resilience({ fallback, attemptTimeout: timeout });
const standing = backed.call(async (_signal, id: number) => id, { args: [5], signal: AbortSignal.timeout(5) });
same<typeof standing, Promise<Outcome<number | undefined>>>(true);
same<ReturnType<typeof wrapped>, Promise<Outcome<number | undefined>>>(true);
const wrapped = backed.wrap(async (text: string) => text.length);
// @ts-expect-error a time alone is no Timeout
new Resilience({ totalTimeout: 5000 });
void aged;

const processor = new Processor(async (id: number, signal: AbortSignal) => `${id} ${signal.aborted}`, {
  workers: 2,
  retry,
  deadLetter: (id: number, error, attempts) => [id, error, attempts],
});
const worked: Promise<Job<number, string>> = processor.submit(5, { timeoutMs: 5 });
same<typeof given, Promise<number[]>>(true);
const given = processor.close({ drain: 'give_back', timeoutMs: 5 });
void [worked, processor.trySubmit(5)?.cancel(), processor.stats().timedOut];
// @ts-expect-error the item's type is known
void processor.submit('5');

const ready = new Readiness(() => 0.5, { afterMs: 1000 });
new Readiness({ pressure: 1 }).stop();
createServer(ready.handler);
const isReady: boolean = ready.isReady;
void isReady;
// @ts-expect-error a pressure is a number
new Readiness(() => 'high');

const calm = guardedFetch({ breaker: new Map([['bank:443', breaker]]), retry, key: ({ url }) => url?.hostname ?? '' });
same<ReturnType<typeof calm>, Promise<Response>>(true);
export const calmly = calm('https://bank/pay', { method: 'POST', idempotent: true });
const standsIn: typeof fetch = calm;
standsIn('https://bank/');
// @ts-expect-error a time has a name
guardedFetch({ outcomeAt: 'end' });
const agent = new Agent().compose(guardedInterceptor({ breaker }));
agent.request({ origin: 'https://bank', path: '/', method: 'GET', idempotent: true });
const client = axios.create({ adapter: guardedAdapter({ breaker, adapter: 'http' }) });
client.post('https://bank/', {}, { idempotent: true });
export const layers = wrap(asPolicy(retry), asPolicy(breaker), within(100, TimeoutStrategy.Cooperative));
export const answer: Promise<number> = layers.execute(({ signal, attempt }) => (signal.aborted ? 0 : attempt));
// @ts-expect-error whose limit
asPolicy(limiter);

const kafka = new Kafka({ brokers: ['kafka:9092'] });
const pausing = pauseWhen(kafka.consumer({ groupId: 'orders' }), new BoundedQueue<string>({ capacity: 10 }));
same<typeof pausing, Consumer & Pausing>(true);
same<ReturnType<Lag['refresh']>, Promise<number>>(true);
declare const confluent: ConfluentConsumer & { commitOffsets(offsets: { topic: string }[]): Promise<void> };
same<ReturnType<typeof pauseWhen<typeof confluent>>, typeof confluent & Pausing>(true);
pauseWhen(confluent, () => 0.5).commitOffsets([{ topic: 'orders' }]);
new Lag(kafka.admin(), { groupId: 'orders', topics: ['orders'] });
// @ts-expect-error
pauseWhen(kafka.consumer({ groupId: 'orders' }), 3);

const jobs = new Jobs('mails', { connection: { port: 6379 } });
const pacing = new Pacing({ limiter: ConcurrencyLimiter.adaptive(), pauseWhen: () => false, queue: jobs });
const send = pacing.processor(async (job: QueuedJob<{ to: string }>) => job.data.to.length);
same<ReturnType<typeof send>, Promise<number>>(true);
const sender = pacing.attach(new JobWorker<{ to: string }, number>('mails', send, { connection: { port: 6379 } }));
same<typeof sender, JobWorker<{ to: string }, number>>(true);
// @ts-expect-error
pacing.attach(jobs);
// @ts-expect-error
new Pacing({ limit: 3 });

const policy = Policy.parse('version = 1');
const watch = policy.watch({ intervalMs: 5, onReload: ({ changes, generation }) => [String(changes[0]), generation] });
same<typeof watch, PolicyWatch>(true);
policy.reloadOn('SIGHUP', { onReload: async () => undefined });
policy.bind('payment', { failureResult: (result: unknown) => result === 1, retryOn: (error: unknown) => error === 5 });
policy.bind('main', { backlog: () => 5 });
same<typeof policy.inForce, { hash: string; generation: number } | undefined>(true);
same<ReturnType<typeof policy.retry>, RetryPolicy>(true);
policy.concurrency('database').setShares({ live: 0.5 });
policy.shedder('main').setConfig({ ranges: { cpu: [0.5, 0.9] }, rise: null });
// @ts-expect-error
policy.watch({ interval: 5 });
// @ts-expect-error
policy.shedder('main').setConfig({ intervalMs: 5 });
