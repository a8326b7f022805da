// Consumers of kafkajs on a real broker.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { BoundedQueue, CircuitBreaker, ConcurrencyLimiter, LoadShedder } from '../../index.mjs';
import { Lag, pauseWhen } from '../../kafka/index.mjs';
import { startBroker } from './brokers.mjs';
import { until } from './until.mjs';

const MESSAGES = Number(process.env.TIDEGATE_KAFKA_MESSAGES ?? 5000);
const PARTITIONS = 4;
const broker = await startBroker();
const quiet = { logLevel: kafkajs.logLevel.NOTHING };
const values = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);
const sorted = (numbers) => [...numbers].sort((a, b) => a - b);

const client = {
  make: (groupId) => {
    const kafka = new kafkajs.Kafka({ brokers: [broker.address], ...quiet });
    return kafka.consumer({ groupId, heartbeatInterval: 100, sessionTimeout: 6000, maxWaitTimeInMs: 50 });
  },
  manual: { autoCommit: false },
  subscribe: (consumer, topic) => consumer.subscribe({ topics: [topic], fromBeginning: true }),
};

describe('consumers that pause', { skip: broker.skip ?? false }, () => {
  const kafka = new kafkajs.Kafka({ brokers: [broker.address ?? 'none:1'], ...quiet });
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  const open = new Set();

  before(async () => {
    await admin.connect();
    await producer.connect();
  });
  after(async () => {
    for (const consumer of open) await consumer.disconnect();
    await producer.disconnect();
    await admin.disconnect();
    await broker.stop();
  });

  async function topicOf(count, partitions = 1, name = `orders-${randomUUID()}`) {
    await admin.createTopics({ topics: [{ topic: name, numPartitions: partitions }], waitForLeaders: true });
    await send(name, values(0, count), partitions);
    return name;
  }

  async function send(topic, numbers, partitions = 1) {
    const messages = numbers.map((value) => ({ value: `${value}`, partition: value % partitions }));
    for (let at = 0; at < messages.length; at += 5000) {
      await producer.send({ topic, messages: messages.slice(at, at + 5000) });
    }
  }

  async function started(source, options, groupId = randomUUID()) {
    const consumer = pauseWhen(client.make(groupId), source, options);
    open.add(consumer);
    await consumer.connect();
    return consumer;
  }

  const ended = async (consumer) => {
    open.delete(consumer);
    await consumer.disconnect();
  };

  it('pauses at the watermark of a queue, and every message comes once', async () => {
    const topic = await topicOf(500);
    const orders = new BoundedQueue({ capacity: 50 });
    const done = [];
    let deepest = 0;
    const consumer = await started(orders, { minPauseMs: 10 });
    await client.subscribe(consumer, topic);
    await consumer.run({
      ...client.manual,
      eachMessage: async ({ message }) => {
        assert.ok(orders.tryPush(Number(message.value)), 'the queue was shut and a message came');
        deepest = Math.max(deepest, orders.depth);
      },
    });
    while (done.length < 500) {
      // Nothing is taken out of it before it is shut.
      if (consumer.isPaused || orders.depth + done.length === 500) done.push(orders.tryPop());
      else await sleep(1);
      if (done.at(-1) === undefined) done.pop();
      if (done.length % 10 === 0) await sleep(0);
    }
    assert.deepEqual(done, values(0, 500));
    assert.ok(consumer.pauses >= 10 && deepest <= 41, `${consumer.pauses} pauses, ${deepest} in the queue`);
    await ended(consumer);
  });

  it('leaves a batch in the middle, and what it has not done comes again', async () => {
    const topic = await topicOf(300);
    for (const eachBatchAutoResolve of [true, false]) {
      const orders = new BoundedQueue({ capacity: 20 });
      const done = [];
      const consumer = await started(orders, { minPauseMs: 10 });
      await client.subscribe(consumer, topic);
      await consumer.run({
        ...client.manual,
        eachBatchAutoResolve,
        eachBatch: async ({ batch, isStale, resolveOffset, heartbeat }) => {
          for (const message of batch.messages) {
            if (isStale()) return;
            assert.ok(orders.tryPush(Number(message.value)), 'the queue was shut and a message came');
            resolveOffset(message.offset);
          }
          await heartbeat();
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
    const source = { pressure: 0 };
    const found = [];
    const consumer = await started(source, { minPauseMs: 0 });
    await client.subscribe(consumer, topic);
    await consumer.run({
      ...client.manual,
      eachBatch: async ({ batch }) => {
        found.push(...batch.messages.map(({ value }) => Number(value)));
        source.pressure = 1;
      },
    });
    await until(() => consumer.isPaused);
    const before = found.length;
    await sleep(300);
    assert.equal(found.length, before, 'a batch while paused');
    while (found.length < 100) {
      source.pressure = 0;
      await sleep(10);
    }
    assert.deepEqual(found, values(0, 100));
    await ended(consumer);
  });

  it('does not resume what the user has paused', async () => {
    const topic = await topicOf(20, 2);
    const source = { pressure: 0 };
    const found = [];
    const consumer = await started(source, { minPauseMs: 0 });
    await client.subscribe(consumer, topic);
    await consumer.run({
      ...client.manual,
      eachMessage: async ({ message, partition, pause }) => {
        found.push(Number(message.value));
        if (partition === 1 && found.length < 20) pause();
      },
    });
    await until(() => found.length === 11);
    source.pressure = 1;
    await send(topic, values(20, 22), 2);
    await until(() => consumer.isPaused);
    const count = found.length;
    await sleep(200);
    source.pressure = 0;
    await until(() => !consumer.isPaused);
    await send(topic, values(22, 24), 2);
    await until(() => found.filter((value) => value % 2 === 0).length === 12);
    assert.equal(found.filter((value) => value % 2 === 1).length, 1, `${count}: ${found}`);
    while (new Set(found).size < 24) {
      consumer.resume([{ topic, partitions: [1] }]);
      await sleep(50);
    }
    await ended(consumer);
  });

  it('loses none in pauses, a rebalance and the end of a consumer', { timeout: 120_000 }, async () => {
    const topic = await topicOf(MESSAGES, PARTITIONS);
    const groupId = randomUUID();
    const committed = Array(PARTITIONS).fill(0);
    const counts = new Map();
    const waits = [];
    let again = 0;

    async function worker() {
      const orders = new BoundedQueue({ capacity: 500, sojourn: true });
      const consumer = await started(orders, { minPauseMs: 50 }, groupId);
      await client.subscribe(consumer, topic);
      // What was committed when it was given its partitions.
      let known = Array(PARTITIONS).fill(0);
      consumer.on(consumer.events.GROUP_JOIN, () => (known = [...committed]));
      let isRunning = true;
      const work = (async () => {
        const done = new Map();
        const commit = async () => {
          const offsets = [...done].map(([partition, offset]) => ({ topic, partition, offset: `${offset}` }));
          done.clear();
          // Of a partition that another has now.
          await consumer.commitOffsets(offsets).then(
            () => {
              for (const { partition: at, offset } of offsets) committed[at] = Math.max(committed[at], offset);
            },
            () => {},
          );
        };
        while (isRunning) {
          for (let n = 0; n < 200; n += 1) {
            const taken = orders.tryPopTimed();
            if (taken === undefined) break;
            const { partition, offset, known: before } = taken.item;
            const key = `${partition}:${offset}`;
            if (counts.has(key)) {
              again += 1;
              assert.ok(offset >= before, 'committed before it was read, and done again');
            }
            counts.set(key, true);
            waits.push(taken.sojournMs);
            done.set(partition, offset + 1);
          }
          if (done.size > 0) await commit();
          await sleep(2);
        }
      })();
      await consumer.run({
        ...client.manual,
        eachMessage: async ({ partition, message }) => {
          await orders.push({ partition, offset: Number(message.offset), known: known[partition] });
        },
      });
      return {
        consumer,
        async leave() {
          isRunning = false;
          await work;
          // A message that waits for room is not read: its handler throws.
          orders.close();
          await ended(consumer);
        },
      };
    }

    const reach = async (count) => {
      for (const end = Date.now() + 100_000; counts.size < count; await sleep(20)) {
        assert.ok(Date.now() < end, `${counts.size} of ${MESSAGES} were done`);
      }
    };
    const first = await worker();
    await reach(MESSAGES / 5);
    const second = await worker();
    await reach(MESSAGES / 3);
    // What is in its queue is not done, and nobody commits it.
    await first.leave();
    await reach(MESSAGES);
    waits.sort((a, b) => a - b);
    const p99 = waits[Math.floor(waits.length * 0.99)];
    console.log(`kafkajs: ${MESSAGES} messages, ${again} done again, queue wait p99 ${Math.round(p99)} ms`);
    await second.leave();
  });

  it('pauses new partitions in the rebalance itself', async () => {
    for (const isPausedAtTheEnd of [true, false]) {
      const topic = await topicOf(100, 2);
      const groupId = randomUUID();
      const source = { pressure: 0 };
      const found = [];
      const one = await started(source, { minPauseMs: 0 }, groupId);
      const other = await started(() => false, {}, groupId);
      await client.subscribe(one, topic);
      const run = { autoCommit: false, eachMessage: async ({ message }) => void found.push(Number(message.value)) };
      await one.run(run);
      await until(() => found.length === 100);
      source.pressure = 1;
      await send(topic, [100, 101], 2);
      await until(() => one.isPaused);
      await client.subscribe(other, topic);
      const joined = new Promise((resolve) => other.on(other.events.GROUP_JOIN, resolve));
      await other.run({ ...run, eachMessage: async () => {} });
      await joined;
      if (!isPausedAtTheEnd) {
        // What is with another then is not left paused when it comes back.
        source.pressure = 0;
        await until(() => !one.isPaused);
      }
      const seen = found.length;
      const back = new Promise((resolve) => {
        one.on(one.events.GROUP_JOIN, ({ payload }) => payload.memberAssignment[topic]?.length === 2 && resolve());
      });
      await ended(other);
      await back;
      await sleep(isPausedAtTheEnd ? 300 : 0);
      if (isPausedAtTheEnd) assert.equal(found.length, seen, 'a message while paused');
      source.pressure = 0;
      await send(topic, [102, 103], 2);
      await until(() => new Set(found).size === 104);
      await ended(one);
    }
  });

  it('tells the lag of a group', async () => {
    const topic = await topicOf(100, 2);
    const groupId = randomUUID();
    const lag = new Lag(admin, { groupId, topics: [topic], everyMs: 1 });
    assert.ok(Number.isNaN(lag.total));
    assert.equal(await lag.refresh(), 100);
    // admin.setOffsets() would take five seconds: it fetches, and waits for what nobody sends.
    const consumer = client.make(groupId);
    open.add(consumer);
    await consumer.connect();
    await client.subscribe(consumer, topic);
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
    await consumer.run({ ...client.manual, eachMessage: async () => {} });
    await joined;
    await consumer.commitOffsets([{ topic, partition: 0, offset: '30' }]);
    await ended(consumer);
    await sleep(5);
    assert.equal(await lag.refresh(), 70);
    assert.deepEqual(
      lag.partitions.map(({ behind }) => behind).sort((a, b) => a - b),
      [20, 50],
    );
    const away = async () => {
      throw new Error('no broker');
    };
    const gone = new Lag({ fetchOffsets: away, fetchTopicOffsets: away }, { groupId, topics: [topic] });
    await assert.rejects(gone.refresh(), /no broker/);
    assert.ok(Number.isNaN(gone.total));
    assert.throws(() => new Lag({}, { groupId, topics: [] }), { name: 'TypeError', message: /admin must be/ });
  });
});

describe('pauseWhen', () => {
  /** What a consumer has; nothing is connected. */
  const fake = () => {
    const paused = new Map();
    const each = (topics, act) => {
      for (const { topic, partitions } of topics) for (const n of partitions) act(`${topic} ${n}`);
    };
    return {
      log: [],
      events: { GROUP_JOIN: 'group_join' },
      on: (_event, listener) => queueMicrotask(() => listener({ payload: { memberAssignment: { 'a:b': [0] } } })),
      paused: () => [...paused.values()],
      pause(topics) {
        this.log.push(['pause', topics]);
        each(topics, (key) => paused.set(key, { topic: key.split(' ')[0], partitions: [Number(key.split(' ')[1])] }));
      },
      resume(topics) {
        this.log.push(['resume', topics]);
        each(topics, (key) => paused.delete(key));
      },
      async run(config) {
        this.config = config;
      },
      async subscribe() {},
      async stop() {},
      async disconnect() {},
    };
  };
  /** Without events. */
  function none() {
    const { events: _events, ...rest } = fake();
    return rest;
  }
  const message = { topic: 'a:b', partition: 0, message: {} };

  it('pauses by breakers, limiters, functions and objects', async () => {
    const bank = new CircuitBreaker('bank');
    const limiter = new ConcurrencyLimiter({ limit: 2 });
    const state = { pressure: 0 };
    const permits = [];
    const cases = [
      [bank, () => bank.forceOpen(), () => bank.reset()],
      [
        limiter,
        () => permits.push(limiter.tryAcquire(), limiter.tryAcquire()),
        () => permits.pop().release(),
      ],
      [state, () => (state.pressure = 1), () => (state.pressure = 0.5)],
      [() => state.yes, () => (state.yes = true), () => (state.yes = false)],
    ];
    state.yes = false;
    for (const [source, press, relieve] of cases) {
      const consumer = fake();
      const pausing = pauseWhen(consumer, source, { minPauseMs: 0 });
      await pausing.run({ eachMessage: async () => {} });
      await consumer.config.eachMessage(message);
      assert.equal(pausing.isPaused, false);
      press();
      await consumer.config.eachMessage(message);
      assert.deepEqual(consumer.log, [['pause', [{ topic: 'a:b', partitions: [0] }]]]);
      relieve();
      await until(() => !pausing.isPaused);
      assert.deepEqual(consumer.log.at(-1), ['resume', [{ topic: 'a:b', partitions: [0] }]]);
    }
  });

  it('has a shedder that nobody else asks sample', async () => {
    let backlog = 0;
    const shedder = new LoadShedder({ signals: [{ kind: 'gauge', read: () => backlog, start: 0, full: 10 }] });
    const consumer = fake();
    const pausing = pauseWhen(consumer, shedder, { minPauseMs: 0 });
    await pausing.run({ eachMessage: async () => {} });
    const give = () => consumer.config.eachMessage(message);
    await give();
    assert.equal(pausing.isPaused, false);
    backlog = 100;
    await until(() => {
      void give();
      return pausing.isPaused;
    });
    // Paused, there are no more messages.
    backlog = 0;
    await until(() => !pausing.isPaused);
    await pausing.disconnect();
  });

  it('lasts at least its time, and ends with the consumer', async () => {
    const consumer = fake();
    const source = { pressure: 1 };
    const pausing = pauseWhen(consumer, source, { minPauseMs: 300 });
    await pausing.run({ eachMessage: async () => {} });
    const start = performance.now();
    await consumer.config.eachMessage(message);
    source.pressure = 0;
    await until(() => !pausing.isPaused);
    assert.ok(performance.now() - start >= 300);
    source.pressure = 1;
    await consumer.config.eachMessage(message);
    await pausing.disconnect();
    source.pressure = 0;
    const { length } = consumer.log;
    await sleep(400);
    assert.equal(consumer.log.length, length, 'resumed after its end');
    // A handler that ends later pauses nothing; another run does.
    source.pressure = 1;
    await consumer.config.eachMessage(message);
    assert.deepEqual([pausing.isPaused, consumer.log.length], [false, length]);
    await pausing.run({ eachMessage: async () => {} });
    await consumer.config.eachMessage(message);
    assert.equal(pausing.isPaused, true);
    await pausing.stop();
  });

  it('takes a source that fails for no pressure, and says so once', async () => {
    const answers = [true, new Error('gone'), new Error('gone'), NaN, 'much'];
    const said = [];
    const listen = (warning) => said.push(warning.message);
    process.on('warning', listen);
    const consumer = fake();
    const source = () => {
      const answer = answers.shift() ?? false;
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const pausing = pauseWhen(consumer, source, { minPauseMs: 0 });
    await pausing.run({ eachMessage: async () => {} });
    await consumer.config.eachMessage(message);
    assert.equal(pausing.pauses, 1);
    await until(() => answers.length === 0 || !pausing.isPaused);
    while (answers.length > 0) await consumer.config.eachMessage(message);
    await sleep(5);
    process.off('warning', listen);
    assert.deepEqual(said, ['the source of pauseWhen failed, and counts as no pressure until it works: gone']);
  });

  it('passes on what a handler throws, and pauses all the same', async () => {
    const consumer = fake();
    const pausing = pauseWhen(consumer, { pressure: 1 });
    const failure = new Error('handler');
    await pausing.run({ eachMessage: () => Promise.reject(failure) });
    await assert.rejects(consumer.config.eachMessage(message), failure);
    assert.equal(pausing.isPaused, true);
    await pausing.stop();
  });

  it('refuses wrong arguments', () => {
    const source = { pressure: 0 };
    const either = /^consumer must be one of kafkajs or of @confluentinc\/kafka-javascript \(.*\), got .* without /;
    for (const [other, missing] of [[{}, 'run()'], [undefined, 'run()'], [none(), 'events that tell of rebalances']]) {
      assert.throws(() => pauseWhen(other, source), (error) => {
        assert.ok(error instanceof TypeError && either.test(error.message) && error.message.endsWith(missing));
        return true;
      });
    }
    assert.throws(() => pauseWhen(fake(), 3), { name: 'TypeError', message: /source must be a BoundedQueue/ });
    for (const options of [{ minPauseMs: -1 }, { pauseAt: NaN }, { pauseAt: 0.2 }, { resumeAt: -1 }]) {
      assert.throws(() => pauseWhen(fake(), source, options), RangeError);
    }
    assert.throws(() => pauseWhen(fake(), source, { minPause: 1 }), /minPause/);
  });
});
