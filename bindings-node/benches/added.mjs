// The time that a guard adds to a request, without a server: handlers.mjs says how. Processes stand side by side and
// take turns.
import { fork } from 'node:child_process';
import { once } from 'node:events';

const rounds = process.env.BENCH_QUICK ? 7 : 31;
const ROWS = [
  {
    kind: 'Nest + Fastify',
    names: ['tidegate', 'ThrottlerGuard', 'no-op guard'],
    targets: [{ of: 'no-op guard', most: 2 }],
  },
  { kind: 'Express', names: ['tidegate', 'express-rate-limit', 'no-op middleware'], targets: [] },
];

for (const { kind, names, targets } of ROWS) {
  const work = `${kind}, 10,000 users of 100 per minute, time added per request`;
  console.error(`== bench: node: ${work}`);
  const children = new Map();
  for (const name of names) {
    const child = fork(new URL('handlers.mjs', import.meta.url), [kind, name]);
    await once(child, 'message');
    children.set(name, child);
  }
  const ns = Object.fromEntries(names.map((name) => [name, []]));
  const bare = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = [...children];
    order.push(...order.splice(0, round % order.length));
    for (const [name, child] of order) {
      child.send('round');
      const [took] = await once(child, 'message');
      ns[name].push(Math.round(took.added));
      bare.push(took.bare);
    }
  }
  for (const child of children.values()) child.disconnect();
  bare.sort((a, b) => a - b);
  const notes = [`injected, no socket; without it: ${(bare[bare.length >> 1] / 1000).toFixed(1)} µs a request`];
  const floor = names.at(-1);
  const row = { binding: 'node', work, tidegate: 'tidegate', floor, floors: [floor], targets, ns, notes };
  console.log(JSON.stringify(row));
}
