// A real Kafka, by tests/kafka/broker, for the tests of one file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PROGRAM = new URL('../../../tests/kafka/broker', import.meta.url).pathname;

/** `{ address, stop }`, or `{ skip }` with the reason. */
export async function startBroker() {
  const broker = spawn(PROGRAM, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(broker, 'exit');
  const [line] = await Promise.race([once(createInterface(broker.stdout), 'line'), ended.then(() => ['it ended'])]);
  const [said, ...rest] = String(line).split(' ');
  if (said === 'SKIP') return { skip: `no Kafka broker: ${rest.join(' ')}` };
  if (said !== 'READY') throw new Error(`the broker did not start: ${line}`);
  return {
    address: rest[0],
    async stop() {
      broker.stdin.end();
      await ended;
    },
  };
}
