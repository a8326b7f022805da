// One bucket for two Node processes that call at once: the time from the first call to the last over the calls of both.
import cluster from 'node:cluster';
import { RateLimiterCluster, RateLimiterClusterMaster, RateLimiterRedis } from 'rate-limiter-flexible';

const ROUNDS = process.argv.includes('--quick') ? 7 : 31;
const PROCESSES = 2;
const SECONDS = 0.1;
const BURST = 1_000_000_000;
// Calls under way at once, where a call is a promise: as many requests as a busy server holds.
const AT_ONCE = 50;

const now = () => process.hrtime.bigint();

async function contenders() {
  const { TokenBucket } = await import('tidegate');
  const shared = new TokenBucket({ rate: '1000000/s', burst: BURST, scope: 'host:bench', name: 'node' });
  const own = new TokenBucket({ rate: '1000000/s', burst: BURST });
  const flexible = new RateLimiterCluster({ keyPrefix: 'bench', points: BURST, duration: 3600, timeoutMs: 10_000 });
  const all = {
    'tidegate, host scope': { call: () => shared.tryAcquire() },
    'tidegate, one each': { call: () => own.tryAcquire() },
    'rate-limiter-flexible, cluster': { later: () => flexible.consume('key') },
  };
  if (process.env.BENCH_REDIS) {
    const { Redis } = await import('ioredis');
    const storeClient = new Redis(process.env.BENCH_REDIS);
    const redis = new RateLimiterRedis({ storeClient, keyPrefix: 'bench', points: BURST, duration: 3600 });
    all['rate-limiter-flexible on Redis'] = { later: () => redis.consume('key') };
  }
  return all;
}

async function measure({ call, later }) {
  let calls = 0;
  const start = now();
  const end = start + BigInt(SECONDS * 1e9);
  if (call) {
    while (now() < end) {
      for (let i = 0; i < 20; i++) call();
      calls += 20;
    }
  } else {
    const customer = async () => {
      while (now() < end) {
        await later();
        calls++;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, customer));
  }
  return { start: String(start), end: String(now()), calls };
}

if (cluster.isPrimary) {
  new RateLimiterClusterMaster();
  const workers = Array.from({ length: PROCESSES }, () => cluster.fork());
  // The cluster mode sends messages of its own over the same channel.
  const answer = (worker) =>
    new Promise((done) => {
      const listen = (message) => {
        if (!message.bench) return;
        worker.off('message', listen);
        done(message.bench);
      };
      worker.on('message', listen);
    });
  const all = (message) =>
    Promise.all(
      workers.map((worker) => {
        const told = answer(worker);
        worker.send({ bench: message });
        return told;
      }),
    );
  await Promise.all(workers.map(answer));
  const names = (await all('names'))[0];
  const ns = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length];
      const told = await all(name);
      const span =
        Math.max(...told.map(({ end }) => Number(end))) - Math.min(...told.map(({ start }) => Number(start)));
      ns[name].push(span / told.reduce((sum, { calls }) => sum + calls, 0));
    }
  }
  const row = {
    binding: 'node',
    work: 'one bucket, 2 processes at once',
    tidegate: 'tidegate, host scope',
    floor: 'tidegate, one each',
    floors: ['tidegate, one each'],
    targets: [],
    ns,
  };
  console.log(JSON.stringify(row));
  process.exit();
} else {
  const ready = await contenders();
  process.on('message', async (message) => {
    if (!message.bench) return;
    const bench = message.bench === 'names' ? Object.keys(ready) : await measure(ready[message.bench]);
    process.send({ bench });
  });
  process.send({ bench: 'ready' });
}
