// Nest on Fastify: what a guard adds to a request. Servers stand side by side and take turns under the same load; the
// time added is CPU time of the server per request, less that of the same server without a guard in the same round.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import autocannon from 'autocannon';

const rounds = process.env.BENCH_QUICK ? 5 : 15;
const amount = process.env.BENCH_QUICK ? 4000 : 10_000;
const USERS = 10_000;

let user = 0;
const asUser = (request) => {
  user = (user + 7919) % USERS;
  return { ...request, headers: { ...request.headers, 'x-user': `user:${user}` } };
};

/** `refuses`: the answers are 429, but for those of the server without a guard and the first of a limit. */
const ROWS = {
  one: { work: 'Nest + Fastify, time added a request over HTTP', floor: 'no-op guard' },
  users: {
    work: 'Nest + Fastify, 100/min for each of 10,000 users, time added a request over HTTP',
    floor: 'no-op guard',
    setupRequest: asUser,
  },
  refused: {
    work: 'Nest + Fastify, refused, time added a request',
    floor: 'guard that refuses',
    most: 2,
    refuses: true,
  },
};

async function cpu({ child }) {
  child.send('cpu');
  return (await once(child, 'message'))[0];
}

/** @returns CPU nanoseconds a request, and requests a second */
async function load(server, { refuses = false, setupRequest }) {
  const before = await cpu(server);
  const requests = [setupRequest === undefined ? {} : { setupRequest }];
  // Its own duration ends with a tick of its clock, a second long.
  const began = performance.now();
  let ended = began;
  const setupClient = (client) => {
    client.on('response', () => {
      ended = performance.now();
    });
  };
  const result = await autocannon({ url: server.url, connections: 20, amount, requests, setupClient });
  const expected = refuses && server.name !== 'bare' ? '4xx' : '2xx';
  if (result[expected] < amount - 1) {
    throw new Error(`${server.name}: ${result[expected]} of ${amount} answers were ${expected}`);
  }
  const perRequest = ((await cpu(server)) - before) / amount;
  return { perRequest, perSecond: (amount / (ended - began)) * 1000 };
}

async function start(row, name) {
  const child = fork(new URL('server.mjs', import.meta.url), [row, name]);
  const [port] = await once(child, 'message');
  return { name, child, url: `http://127.0.0.1:${port}/hello` };
}

const quartiles = (values, digits) => {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.25, 0.5, 0.75].map((q) => sorted[Math.round(q * (sorted.length - 1))].toFixed(digits));
};

for (const [row, settings] of Object.entries(ROWS)) {
  const { work, floor, most, refuses } = settings;
  console.error(`== bench: node: ${work}`);
  const guards = [floor, 'tidegate', 'ThrottlerGuard'];
  const servers = new Map();
  for (const name of ['bare', ...guards]) servers.set(name, await start(row, name));
  for (const server of servers.values()) for (let i = 0; i < 3; i += 1) await load(server, settings);

  const collected = () => Object.fromEntries(guards.map((name) => [name, []]));
  const [ns, kept, speed] = [collected(), collected(), collected()];
  for (let round = 0; round < rounds; round += 1) {
    const order = [...servers.keys()];
    order.push(...order.splice(0, round % order.length));
    const took = {};
    for (const name of order) took[name] = await load(servers.get(name), settings);
    for (const name of guards) {
      ns[name].push(took[name].perRequest - took.bare.perRequest);
      kept[name].push(took[name].perSecond / took.bare.perSecond);
      speed[name].push(took[name].perSecond);
    }
  }
  for (const { child } of servers.values()) child.disconnect();

  const notes = guards.map((name) => {
    const [low, median, high] = refuses ? quartiles(speed[name], 0) : quartiles(kept[name], 2);
    return refuses
      ? `${name} refuses ${median} requests a second (quartiles ${low}–${high})`
      : `${name} leaves ${median} of the requests a second (quartiles ${low}–${high})`;
  });
  // Where there is none, added.mjs judges: here it is the small difference of two large numbers.
  const targets = most === undefined ? [] : [{ of: floor, most }];
  console.log(JSON.stringify({ binding: 'node', work, tidegate: 'tidegate', floor, targets, ns, notes }));
}
