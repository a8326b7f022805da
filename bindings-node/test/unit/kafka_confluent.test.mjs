// Consumers of @confluentinc/kafka-javascript: what they are told, and, where the client is at hand, a real broker.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BoundedQueue } from '../../index.mjs';
import { Lag, pauseWhen } from '../../kafka/index.mjs';
import { startBroker } from './brokers.mjs';
import { confluent } from './confluent.mjs';
import { until } from './until.mjs';

const client = confluent();
const broker = client.skip ? client : await startBroker();
const values = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);
const sorted = (numbers) => [...numbers].sort((a, b) => a - b);

describe('consumers of Confluent that pause', { skip: broker.skip ?? false }, () => {
  const open = new Set();
  const kafka = () => {
    const { KafkaJS } = client;
    return new KafkaJS.Kafka({ kafkaJS: { brokers: [broker.address], logLevel: KafkaJS.logLevel.NOTHING } });
  };
  const connected = async (made) => {
    open.add(made);
    await made.connect();
    return made;
  };
  const ended = async (made) => {
    open.delete(made);
    await made.disconnect();
  };
  let producer;
  let admin;

  after(async () => {
    for (const each of open) await each.disconnect();
    await broker.stop();
  });

  async function send(topic, numbers, partitions = 1) {
    producer ??= await connected(kafka().producer());
    const messages = numbers.map((value) => ({ value: `${value}`, partition: value % partitions }));
    await producer.send({ topic, messages });
  }

  async function topicOf(count, partitions = 1) {
    admin ??= await connected(kafka().admin());
    const topic = `orders-${randomUUID()}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] });
    await sleep(200);
    if (count > 0) await send(topic, values(0, count), partitions);
    return topic;
  }

  async function started(topic, source, run, { groupId = randomUUID(), assigner = 'range', ...options } = {}) {
    const partitionAssigners = [client.KafkaJS.PartitionAssigners[assigner]];
    const made = kafka().consumer({
      kafkaJS: { groupId, autoCommit: false, fromBeginning: true, sessionTimeout: 6000, partitionAssigners },
    });
    const consumer = await connected(pauseWhen(made, source, { minPauseMs: 0, ...options }));
    await consumer.subscribe({ topics: [topic] });
    await consumer.run(run);
    return consumer;
  }

  it('pauses at the watermark of a queue, and every message comes once', async () => {
    const topic = await topicOf(500);
    const orders = new BoundedQueue({ capacity: 50 });
    const done = [];
    const eachMessage = async ({ message }) => {
      assert.ok(orders.tryPush(Number(message.value)), 'the queue was shut and a message came');
    };
    const consumer = await started(topic, orders, { eachMessage });
    while (done.length < 500) {
      // Nothing is taken out of it before it is shut.
      const next = consumer.isPaused || orders.depth + done.length === 500 ? orders.tryPop() : undefined;
      if (next === undefined) await sleep(1);
      else done.push(next);
    }
    assert.deepEqual(done, values(0, 500));
    assert.ok(consumer.pauses >= 10, `${consumer.pauses} pauses`);
    await ended(consumer);
  });

  it('skips nothing of partitions of which nothing was read between two pauses', async () => {
    const topic = await topicOf(400, 4);
    const [source, found] = [{ pressure: 0 }, []];
    const consumer = await started(topic, source, {
      eachMessage: async ({ message }) => {
        found.push(Number(message.value));
        // After some of one partition.
        if (found.length % 45 === 0) source.pressure = 1;
      },
    });
    for (const end = Date.now() + 60_000; found.length < 400; await sleep(20)) {
      assert.ok(Date.now() < end, `${found.length} of 400 came`);
      if (!consumer.isPaused) continue;
      const before = found.length;
      await sleep(150);
      assert.equal(found.length, before, 'a message while paused');
      source.pressure = 0;
    }
    assert.deepEqual(sorted(found), values(0, 400));
    assert.ok(consumer.pauses >= 7, `${consumer.pauses} pauses`);
    await ended(consumer);
  });

  it('leaves a batch in the middle, and what it has not done comes again', async () => {
    for (const eachBatchAutoResolve of [true, false]) {
      const topic = await topicOf(300);
      const orders = new BoundedQueue({ capacity: 20 });
      const done = [];
      const consumer = await started(topic, orders, {
        eachBatchAutoResolve,
        eachBatch: async ({ batch, isStale, resolveOffset }) => {
          for (const message of batch.messages) {
            if (isStale()) return;
            assert.ok(orders.tryPush(Number(message.value)), 'the queue was shut and a message came');
            resolveOffset(message.offset);
          }
        },
      });
      while (done.length < 300) {
        const item = orders.tryPop();
        if (item === undefined) await sleep(2);
        else done.push(item);
      }
      assert.deepEqual(done, values(0, 300));
      assert.ok(consumer.pauses > 3);
      await ended(consumer);
    }
  });

  it('resolves a whole batch for who does not look', async () => {
    const topic = await topicOf(100);
    const [source, found] = [{ pressure: 0 }, []];
    const consumer = await started(topic, source, {
      eachBatch: async ({ batch }) => {
        found.push(...batch.messages.map(({ value }) => Number(value)));
        source.pressure = 1;
      },
    });
    while (found.length < 100) {
      source.pressure = 0;
      await sleep(10);
    }
    assert.deepEqual(found, values(0, 100));
    await ended(consumer);
  });

  it('does again what a handler has thrown at, also into a pause', async () => {
    const topic = await topicOf(50);
    const [source, found, failed] = [{ pressure: 0 }, [], new Set()];
    const consumer = await started(topic, source, {
      eachMessage: async ({ message }) => {
        const value = Number(message.value);
        if (value % 10 === 3 && !failed.has(value)) {
          failed.add(value);
          source.pressure = value % 20 === 3 ? 1 : 0;
          throw new Error('of a test');
        }
        found.push(value);
      },
    });
    await until(() => {
      if (consumer.isPaused) source.pressure = 0;
      return found.length >= 50;
    });
    assert.deepEqual(found, values(0, 50));
    assert.ok(failed.size === 5 && consumer.pauses >= 2);
    await ended(consumer);
  });

  it('does not resume what the user has paused', async () => {
    const topic = await topicOf(40, 2);
    const [source, found] = [{ pressure: 0 }, []];
    const of = (partition) => found.filter((value) => value % 2 === partition);
    let consumer;
    const handler = async ({ message, partition, pause }) => {
      found.push(Number(message.value));
      if (partition === 1 && of(1).length === 3) pause();
    };
    consumer = await started(topic, source, { eachMessage: handler });
    await until(() => of(0).length === 20 && of(1).length === 3);
    source.pressure = 1;
    await send(topic, [40, 41], 2);
    await until(() => consumer.isPaused);
    await sleep(200);
    source.pressure = 0;
    await until(() => !consumer.isPaused && of(0).length === 21);
    assert.deepEqual(of(1), [1, 3, 5], 'what the user has paused');
    consumer.resume([{ topic }]);
    await until(() => found.length === 42);
    assert.deepEqual(of(1), values(0, 21).map((n) => 2 * n + 1));
    // From outside of a handler.
    consumer.pause([{ topic, partitions: [0] }]);
    await send(topic, values(42, 52), 2);
    await until(() => of(1).length === 26);
    await sleep(200);
    assert.equal(of(0).length, 21);
    consumer.resume([{ topic, partitions: [0] }]);
    await until(() => found.length === 52);
    assert.deepEqual(sorted(found), values(0, 52));
    await ended(consumer);
  });

  for (const assigner of ['range', 'cooperativeSticky']) {
    it(`rebalances while paused, and goes on where the others have committed (${assigner})`, { timeout: 120_000 }, () =>
      rebalanced(assigner),
    );
  }

  async function rebalanced(assigner) {
    const topic = await topicOf(200, 2);
    const group = { groupId: randomUUID(), assigner };
    const [source, found] = [{ pressure: 0 }, []];
    const handler = (commits) => ({
      eachMessage: async ({ message, partition }) => {
        found.push(Number(message.value));
        await commits.commitOffsets([{ topic, partition, offset: `${Number(message.offset) + 1}` }]);
      },
    });
    let one;
    one = await started(topic, source, { eachMessage: (payload) => handler(one).eachMessage(payload) }, group);
    await until(() => found.length === 200, 60_000);
    source.pressure = 1;
    await send(topic, [200, 201], 2);
    await until(() => one.isPaused);
    // The other gets a partition though the first reads nothing, and reads it.
    let other;
    const others = { eachMessage: (payload) => handler(other).eachMessage(payload) };
    other = await started(topic, () => false, others, group);
    await until(() => other.assignment().length === 1 && found.length === 201, 60_000);
    await send(topic, values(202, 222), 2);
    await until(() => found.length === 211, 60_000);
    const theirs = other.assignment()[0].partition;
    await ended(other);
    // Both are the first's again, and none of them comes while it is paused.
    await until(() => one.assignment().length === 2, 60_000);
    await send(topic, [222, 223], 2);
    await sleep(500);
    assert.equal(found.length, 211, 'a message while paused');
    source.pressure = 0;
    await until(() => found.length >= 224, 60_000);
    assert.deepEqual(sorted(found), values(0, 224), `none lost, none twice; the other had partition ${theirs}`);
    await ended(one);
  }

  it('tells the lag of a group', async () => {
    const topic = await topicOf(100, 2);
    const groupId = randomUUID();
    const lag = new Lag(admin, { groupId, topics: [topic], everyMs: 1 });
    assert.equal(await lag.refresh(), 100);
    const consumer = await started(topic, () => false, { eachMessage: async () => {} }, { groupId });
    await until(() => consumer.assignment().length === 2, 60_000);
    await consumer.commitOffsets([{ topic, partition: 0, offset: '30' }]);
    await ended(consumer);
    await sleep(5);
    assert.equal(await lag.refresh(), 70);
  });
});

describe('pauseWhen of a consumer of Confluent', () => {
  /** What it has; nothing is connected. */
  const fake = () => ({
    log: [],
    get events() {
      throw new Error('not implemented');
    },
    pause(topics) {
      this.log.push(['pause', topics]);
    },
    resume(topics) {
      this.log.push(['resume', topics]);
    },
    async run(config) {
      this.config = config;
    },
    assignment: () => [{ topic: 'a:b', partition: 0 }],
    committed: async () => [],
    paused: () => [],
    async subscribe() {},
    async disconnect() {},
  });
  const batch = (...offsets) => ({
    resolved: [],
    batch: { topic: 'a:b', partition: 0, messages: offsets.map((offset) => ({ offset })) },
    heartbeat: async () => {},
    isStale: () => false,
    resolveOffset(offset) {
      this.resolved.push(offset);
    },
  });

  it('pauses in a batch alone, which leaves the rest unresolved', async () => {
    const consumer = fake();
    const [source, seen] = [{ pressure: 0 }, []];
    const pausing = pauseWhen(consumer, source, { minPauseMs: 0 });
    await pausing.run({
      eachMessage: async ({ message }) => {
        seen.push(message.offset);
        if (message.offset === '2') source.pressure = 1;
      },
    });
    assert.equal(consumer.config.eachBatchAutoResolve, false);
    const first = batch('1', '2', '3');
    first.resolveOffset = first.resolveOffset.bind(first);
    await consumer.config.eachBatch(first);
    assert.deepEqual([seen, first.resolved], [['1', '2'], ['1', '2']]);
    const paused = ['pause', [{ topic: 'a:b', partitions: [0] }]];
    assert.deepEqual(consumer.log, [paused]);
    // Of one that comes all the same, as after a rebalance, nothing is handed out.
    await consumer.config.eachBatch(batch('3'));
    assert.deepEqual([seen.length, consumer.log], [2, [paused, paused]]);
    source.pressure = 0;
    await until(() => !pausing.isPaused);
    assert.deepEqual(consumer.log.at(-1), ['resume', [{ topic: 'a:b', partitions: [0] }]]);
    assert.equal(pausing.pauses, 1);
  });

  it('refuses wrong arguments', async () => {
    const pausing = pauseWhen(fake(), { pressure: 0 });
    const eachMessage = async () => {};
    await assert.rejects(pausing.run({ eachMessage, partitionsConsumedConcurrently: 2 }), {
      name: 'RangeError',
      message: /^partitionsConsumedConcurrently must be 1 where a consumer of @confluentinc\/kafka-javascript pauses/,
    });
    assert.throws(() => pauseWhen(fake(), 3), { name: 'TypeError', message: /source must be a BoundedQueue/ });
  });
});
