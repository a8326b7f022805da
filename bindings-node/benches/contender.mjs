// One contender in a process of its own, so that nobody's code shapes how another's is compiled: contender.mjs ROW NAME
import { ROWS } from './contenders.mjs';

const [, , row, name] = process.argv;
const run = await (await ROWS[row].contenders[name]());

async function time(n) {
  const start = process.hrtime.bigint();
  await run(n);
  return Number(process.hrtime.bigint() - start);
}

// Warm, then as many calls as take some 20 ms.
let calls = 1000;
for (let spent = 0; spent < 5e8; ) {
  const took = await time(calls);
  spent += took;
  calls = Math.max(1000, Math.round((calls * 2e7) / took));
}
process.on('message', async () => process.send((await time(calls)) / calls));
process.send('ready');
