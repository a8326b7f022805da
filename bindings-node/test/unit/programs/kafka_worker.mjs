// A consumer of kafka_load.test.mjs: reads through a queue that pauses it, and writes down what it does.
//
//   node kafka_worker.mjs kafkajs|confluent BROKER TOPIC GROUP CAPACITY
//
// Lines: `+ partition time` assigned, `. partition offset time wait` done, `c partition offset time` committed; ms.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { BoundedQueue } from '../../../index.mjs';
import { pauseWhen } from '../../../kafka/index.mjs';
import { confluent } from '../confluent.mjs';

const [client, address, topic, groupId, capacity] = process.argv.slice(2);
/** A commit so often. */
const EVERY = 200;
const lines = [];
/** The same clock in all processes. */
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const note = (...words) => void lines.push(words.join(' '));

/** All of it: a pipe that is full takes a part, or nothing for now. */
async function tell() {
  let rest = Buffer.from(lines.splice(0).map((line) => `${line}\n`).join(''));
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      await sleep(1);
    }
  }
}

const orders = new BoundedQueue({ capacity: Number(capacity), sojourn: true });
/** Partitions that it has now: what it did of others, others may have committed further. */
let held = new Set();

const CLIENTS = {
  kafkajs() {
    const kafka = new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.NOTHING });
    const made = kafka.consumer({ groupId, heartbeatInterval: 100, sessionTimeout: 2000, maxWaitTimeInMs: 50 });
    made.on(made.events.GROUP_JOIN, ({ payload }) => assigned(payload.memberAssignment[topic] ?? []));
    return { made, subscription: { topics: [topic], fromBeginning: true }, run: { autoCommit: false } };
  },
  confluent() {
    const { KafkaJS } = confluent();
    const timing = { heartbeatInterval: 100, sessionTimeout: 2000, maxWaitTimeInMs: 50 };
    const kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: [address], logLevel: KafkaJS.logLevel.NOTHING } });
    const made = kafka.consumer({
      kafkaJS: { groupId, autoCommit: false, fromBeginning: true, ...timing },
      rebalance_cb(error, partitions) {
        assigned(error.code === KafkaJS.ErrorCodes.ERR__ASSIGN_PARTITIONS ? partitions.map((at) => at.partition) : []);
      },
    });
    return { made, subscription: { topics: [topic] }, run: {} };
  },
};

function assigned(partitions) {
  held = new Set(partitions);
  for (const partition of partitions) note('+', partition, now());
}

const { made, subscription, run } = CLIENTS[client]();
const consumer = pauseWhen(made, orders, { minPauseMs: 50 });

/** Slower than what is read, so that the queue fills. */
async function work() {
  const done = new Map();
  for (;;) {
    for (let count = 0; count < EVERY; count += 1) {
      const taken = orders.tryPopTimed();
      if (taken === undefined) break;
      const { partition, offset } = taken.item;
      for (const end = now() + 0.1; now() < end; );
      done.set(partition, offset + 1);
      note('.', partition, offset, now(), taken.sojournMs);
      if (count % 20 === 19) await sleep(0);
    }
    // Nothing is committed that nobody knows to be done, if this process is killed.
    await tell();
    const offsets = [...done].map(([partition, offset]) => ({ topic, partition, offset: `${offset}` }));
    done.clear();
    for (const each of offsets.filter(({ partition }) => held.has(partition))) {
      // Rejected: another has the partition now.
      await consumer.commitOffsets([each]).then(() => note('c', each.partition, each.offset, now()), () => {});
    }
    await sleep(offsets.length > 0 ? 0 : 5);
  }
}

await consumer.connect();
await consumer.subscribe(subscription);
void work();
await consumer.run({
  ...run,
  eachMessage: ({ partition, message }) => orders.push({ partition, offset: Number(message.offset) }),
});
