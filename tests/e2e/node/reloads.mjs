// reloads.py, in Node: node reloads.mjs POLICY
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { Policy } from 'tidegate';

const policy = Policy.parse(process.argv[2]);
const gate = policy.gate('orders');
// All of them are there before the first reload.
const mail = policy.breaker('mail');
let lines = 0;
createInterface({ input: process.stdin }).on('line', () => (lines += 1));
console.log('ready');
// Nothing is served before the time is taken that it is judged by.
while (lines < 1) await setImmediate();
let [admitted, refused, errors] = [0, 0, 0];
const request = { keys: { client: 'everybody' }, dependencies: ['payment'] };
while (lines < 2) {
  for (let i = 0; i < 100; i += 1) {
    try {
      const admission = gate.admit(request);
      if (admission.allowed) {
        admission.breaker('payment').success();
        admission.finish('success');
        admitted += 1;
      } else refused += 1;
    } catch (error) {
      console.error(error);
      errors += 1;
    }
  }
  await setImmediate();
}
console.log('done', admitted, refused, errors, mail.state);
process.exit();
