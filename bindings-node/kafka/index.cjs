'use strict';
// Consumers of kafkajs that pause by themselves. It is not imported: a consumer is known by its methods. Those of
// @confluentinc/kafka-javascript are in confluent.cjs.

const check = require('../lib/check.cjs');
const { Switch } = require('../lib/pausing.cjs');
const { isConfluent, pauseConfluent } = require('./confluent.cjs');
const { assigned, forEach, listed, without } = require('./partitions.cjs');
const { Lag } = require('./lag.cjs');

const METHODS = ['run', 'subscribe', 'pause', 'resume', 'paused', 'on', 'stop', 'disconnect'];

function isKafkajs(consumer) {
  if (isConfluent(consumer)) return false;
  const missing = METHODS.find((method) => typeof consumer?.[method] !== 'function');
  if (missing === undefined && consumer.events?.GROUP_JOIN !== undefined) return true;
  const what = missing === undefined ? 'events that tell of rebalances' : `${missing}()`;
  throw check.typeError(
    'consumer must be one of kafkajs or of @confluentinc/kafka-javascript (its KafkaJS part), got ' +
      `${check.show(consumer)} without ${what}`,
  );
}

function pauseWhen(consumer, source, options = {}) {
  const { own, toggle } = isKafkajs(consumer)
    ? pauseKafkajs(consumer, source, options)
    : pauseConfluent(consumer, source, options);
  return new Proxy(consumer, {
    get(_target, name) {
      if (name === 'isPaused') return toggle.paused;
      if (name === 'pauses') return toggle.pauses;
      if (Object.hasOwn(own, name)) return own[name];
      const value = consumer[name];
      // A class with private members knows only itself.
      return typeof value === 'function' ? value.bind(consumer) : value;
    },
  });
}

function pauseKafkajs(consumer, source, options) {
  // Paused by the user: they stay so. Paused here and not resumed since, perhaps because another consumer has them now:
  // the client leaves a partition paused that a rebalance brings back.
  const users = new Set();
  const ours = new Set();

  function pause() {
    // What a client says is paused, and was not by us, the user has paused past this object.
    const already = listed(consumer.paused());
    const fresh = without(held(), already);
    if (fresh.size === 0) return;
    for (const key of fresh) ours.add(key);
    consumer.pause(forEach(fresh));
  }

  function resume() {
    const now = held();
    const back = without(new Set([...ours].filter((key) => now.has(key))), users);
    for (const key of now) ours.delete(key);
    if (back.size > 0) consumer.resume(forEach(back));
  }

  function end() {
    toggle.stop();
    ours.clear();
  }

  // Listens only once the arguments are known to be right.
  const toggle = new Switch(source, options, 'pauseWhen', { pause, resume });
  const held = assigned(consumer, () => (toggle.paused ? pause() : resume()));

  const own = {
    pause(topics) {
      for (const key of listed(topics, held())) users.add(key);
      consumer.pause(topics);
      return () => own.resume(topics);
    },
    resume(topics) {
      const keys = listed(topics, held());
      for (const key of keys) users.delete(key);
      if (!toggle.paused) return consumer.resume(topics);
      // After the pause.
      for (const key of keys) ours.add(key);
    },
    run(config = {}) {
      toggle.start();
      const given = { ...config };
      if (config.eachMessage) given.eachMessage = (payload) => eachMessage(config.eachMessage, payload);
      if (config.eachBatch) {
        const resolvesAll = config.eachBatchAutoResolve ?? true;
        given.eachBatch = (payload) => eachBatch(config.eachBatch, payload, resolvesAll);
        // Done here, for a batch that was left in the middle must not be resolved as a whole.
        given.eachBatchAutoResolve = false;
      }
      return consumer.run(given);
    },
    stop(...given) {
      end();
      return consumer.stop(...given);
    },
    disconnect(...given) {
      end();
      return consumer.disconnect(...given);
    },
  };

  const pauseOf = ({ topic, partition }) => () => own.pause([{ topic, partitions: [partition] }]);

  /** After the message, which has been read: the client leaves the rest of the batch, and fetches it again. */
  async function eachMessage(handle, payload) {
    try {
      return await handle({ ...payload, pause: pauseOf(payload) });
    } finally {
      toggle.look();
    }
  }

  async function eachBatch(handle, payload, resolvesAll) {
    let wasTold = false;
    const isLeft = () => {
      wasTold ||= toggle.look();
      return wasTold;
    };
    const { batch } = payload;
    const answer = await handle({
      ...payload,
      pause: pauseOf(batch),
      isStale: () => isLeft() || payload.isStale(),
      resolveOffset: (offset) => payload.resolveOffset(offset),
    });
    // Who was told to leave has resolved what he has done.
    if (resolvesAll && !wasTold) await payload.resolveOffset(batch.lastOffset());
    toggle.look();
    return answer;
  }

  return { own, toggle };
}

module.exports = { Lag, pauseWhen };
