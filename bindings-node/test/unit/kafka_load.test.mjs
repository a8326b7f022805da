// Messages through pauses, a rebalance and a consumer that is killed, on a real broker: none is lost.
//
// TIDEGATE_KAFKA_MESSAGES says how many (default 5,000; 100,000 take half a minute more).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { startBroker } from './brokers.mjs';
import { confluent } from './confluent.mjs';

const MESSAGES = Number(process.env.TIDEGATE_KAFKA_MESSAGES ?? 5000);
const [PARTITIONS, CAPACITY] = [4, 500];
const PROGRAM = new URL('programs/kafka_worker.mjs', import.meta.url).pathname;
const PATIENCE_MS = 120_000 + MESSAGES * 2;

/** One of the consumers, and what it has said. */
class Worker {
  assigned = new Map();
  done = [];
  committed = [];
  /** The last line is whole only if a newline ends it, of one that was killed. */
  #last = '';

  constructor(...given) {
    this.process = spawn(process.execPath, [PROGRAM, ...given], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.process.stdout, 'close');
    this.process.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (this.#last + text).split('\n');
      this.#last = lines.pop();
      lines.forEach((line) => this.#read(line.split(' ')));
    });
  }

  #read([kind, ...words]) {
    const [partition, ...numbers] = words.map(Number);
    if (kind === '.') this.done.push([partition, ...numbers]);
    else if (kind === 'c') this.committed.push([partition, ...numbers]);
    else if (kind === '+') this.assigned.set(partition, [...(this.assigned.get(partition) ?? []), numbers[0]]);
  }

  /** `kill -9`. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

/** How many were done twice; an error if one was that had been committed before its reader was given the partition. */
function doneAgain(workers) {
  const everyone = workers.flatMap((worker) => worker.done.map((done) => [...done, worker]));
  everyone.sort((one, other) => one[2] - other[2]);
  const commits = workers.flatMap(({ committed }) => committed);
  const seen = new Set();
  let again = 0;
  for (const [partition, offset, at, , worker] of everyone) {
    const key = `${partition}:${offset}`;
    if (seen.has(key)) {
      again += 1;
      const given = Math.max(...worker.assigned.get(partition).filter((when) => when <= at));
      const known = commits.filter((commit) => commit[0] === partition && commit[2] < given).map(([, next]) => next);
      assert.ok(offset >= Math.max(0, ...known), `${key} was committed, and done again`);
    }
    seen.add(key);
  }
  return again;
}

const p99 = (times) => times.sort((one, other) => one - other)[Math.floor(times.length * 0.99)];

const broker = await startBroker();
after(() => broker.stop?.());
test('kafkajs: none is lost', { skip: broker.skip ?? false, timeout: 2 * PATIENCE_MS }, (context) =>
  load(context, 'kafkajs'),
);
const { skip } = broker.skip ? broker : confluent();
test('Confluent: none is lost', { skip: skip ?? false, timeout: 2 * PATIENCE_MS }, (context) =>
  load(context, 'confluent'),
);

async function load(context, client) {
  const kafka = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  const [topic, admin, workers] = [`orders-${randomUUID()}`, kafka.admin(), []];
  context.after(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
    await Promise.all([producer.disconnect(), admin.disconnect()]);
  });
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });

  const groupId = randomUUID();
  const start = () => workers[workers.push(new Worker(client, broker.address, topic, groupId, String(CAPACITY))) - 1];
  const count = () => workers.reduce((sum, { done }) => sum + done.length, 0);
  const end = performance.now() + PATIENCE_MS;
  let sent = 0;

  /** There is always more to read, so that nobody is done before the next thing happens. */
  async function feedUntil(condition) {
    while (!condition()) {
      assert.ok(performance.now() < end, `${count()} of ${sent} were done`);
      assert.ok(workers.every((worker) => worker.process.exitCode === null), 'a consumer ended by itself');
      if (sent - count() < 4 * CAPACITY) {
        const values = Array.from({ length: 1000 }, (_, index) => sent + index);
        await producer.send({
          topic,
          messages: values.map((value) => ({ value: `${value}`, partition: value % PARTITIONS })),
        });
        sent += values.length;
      }
      await sleep(10);
    }
  }

  const first = start();
  await feedUntil(() => count() >= MESSAGES / 5);
  const second = start();
  // The rebalance.
  await feedUntil(() => second.assigned.size === PARTITIONS / 2 && second.done.length > MESSAGES / 10);
  await first.kill();
  await feedUntil(() => second.assigned.size === PARTITIONS && sent >= MESSAGES);
  const missing = () => {
    const done = workers.flatMap((worker) => worker.done.map(([partition, offset]) => `${partition}:${offset}`));
    return sent - new Set(done).size;
  };
  while (missing() > 0) {
    assert.ok(performance.now() < end, `${missing()} of ${sent} were not done`);
    await sleep(100);
  }
  await second.kill();

  const again = doneAgain(workers);
  // No message waits for more than a full queue of others: it came after the one that many before it had left.
  const [waits, beyond] = [[], []];
  for (const { done } of workers) {
    done.forEach(([, , at, wait], index) => {
      waits.push(wait);
      beyond.push((done[index - CAPACITY]?.[2] ?? 0) - (at - wait));
    });
  }
  assert.ok(p99(beyond) <= 50, 'they were in a queue of more than its capacity');
  console.log(`${client}: ${sent} messages, ${again} done again, queue wait p99 ${Math.round(p99(waits))} ms`);
}
