// Calls in one process: the contenders of each row take turns, a round each.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { ROWS } from './contenders.mjs';

const rounds = process.env.BENCH_QUICK ? 9 : 41;

for (const [index, { work, floor, targets, contenders }] of ROWS.entries()) {
  console.error(`== bench: node: ${work}`);
  const children = new Map();
  for (const name of Object.keys(contenders)) {
    const child = fork(new URL('contender.mjs', import.meta.url), [String(index), name]);
    await once(child, 'message');
    children.set(name, child);
  }
  const ns = Object.fromEntries([...children.keys()].map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Everybody is first, second, … equally often.
    const order = [...children];
    order.push(...order.splice(0, round % order.length));
    for (const [name, child] of order) {
      child.send('round');
      const [took] = await once(child, 'message');
      ns[name].push(took);
    }
  }
  for (const child of children.values()) child.disconnect();
  console.log(JSON.stringify({ binding: 'node', work, tidegate: 'tidegate', floor, targets, ns }));
}
