// Nest on Fastify: what a guard adds to a request. Servers stand side by side and take turns under the same load; the
// time added is CPU time of the server per request, less that of the same server without a guard in the same round.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import autocannon from 'autocannon';

const rounds = process.env.BENCH_QUICK ? 5 : 15;
const amount = process.env.BENCH_QUICK ? 4000 : 10_000;
const NAMES = ['bare', 'no-op guard', 'tidegate', 'ThrottlerGuard'];

const servers = new Map();
for (const name of NAMES) {
  const child = fork(new URL('server.mjs', import.meta.url), [name]);
  const [port] = await once(child, 'message');
  servers.set(name, { child, url: `http://127.0.0.1:${port}/hello` });
}

async function cpu({ child }) {
  child.send('cpu');
  return (await once(child, 'message'))[0];
}

/** @returns CPU nanoseconds a request, and requests a second */
async function load(server) {
  const before = await cpu(server);
  const result = await autocannon({ url: server.url, connections: 20, amount });
  if (result['2xx'] !== amount) throw new Error(`${server.url}: ${result['2xx']} of ${amount} answers were 2xx`);
  const perRequest = ((await cpu(server)) - before) / amount;
  return { perRequest, perSecond: amount / result.duration };
}

console.error('== bench: node: Nest + Fastify');
for (const server of servers.values()) for (let i = 0; i < 3; i += 1) await load(server);

const ns = Object.fromEntries(NAMES.slice(1).map((name) => [name, []]));
const kept = Object.fromEntries(NAMES.slice(1).map((name) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  const order = [...NAMES];
  order.push(...order.splice(0, round % order.length));
  const took = {};
  for (const name of order) took[name] = await load(servers.get(name));
  for (const name of NAMES.slice(1)) {
    ns[name].push(took[name].perRequest - took.bare.perRequest);
    kept[name].push(took[name].perSecond / took.bare.perSecond);
  }
}
for (const { child } of servers.values()) child.disconnect();

const quartiles = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.25, 0.5, 0.75].map((q) => sorted[Math.round(q * (sorted.length - 1))].toFixed(2));
};
const notes = Object.entries(kept).map(([name, values]) => {
  const [low, median, high] = quartiles(values);
  return `${name} leaves ${median} of the requests a second (quartiles ${low}–${high})`;
});
const targets = [{ of: 'no-op guard', most: 2 }];
const work = 'Nest + Fastify, time added a request';
console.log(JSON.stringify({ door: 'node', work, tidegate: 'tidegate', floor: 'no-op guard', targets, ns, notes }));
