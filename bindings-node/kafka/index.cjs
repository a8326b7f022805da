'use strict';
// Consumers of kafkajs that pause by themselves. It is not imported: a consumer is known by its methods.

const check = require('../lib/check.cjs');
const { Switch } = require('../lib/pausing.cjs');
const { assigned, forEach, listed, without } = require('./partitions.cjs');
const { Lag } = require('./lag.cjs');

const METHODS = ['run', 'subscribe', 'pause', 'resume', 'paused', 'on', 'stop', 'disconnect'];

function tellsOfRebalances(consumer) {
  try {
    return consumer.events?.GROUP_JOIN !== undefined;
  } catch {
    // @confluentinc/kafka-javascript: not implemented.
    return false;
  }
}

function pauseWhen(consumer, source, options = {}) {
  for (const method of METHODS) {
    if (typeof consumer?.[method] === 'function') continue;
    throw check.typeError(`consumer must be one of kafkajs, got ${check.show(consumer)} without ${method}()`);
  }
  if (!tellsOfRebalances(consumer)) {
    throw check.typeError(
      'consumer must be one of kafkajs; that of @confluentinc/kafka-javascript does not tell of rebalances, and its ' +
        'pause() skips messages: let its eachMessage wait instead',
    );
  }
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

  return new Proxy(consumer, {
    get(_target, name) {
      if (name === 'isPaused') return toggle.paused;
      if (name === 'pauses') return toggle.pauses;
      if (Object.hasOwn(own, name)) return own[name];
      return consumer[name];
    },
  });
}

module.exports = { Lag, pauseWhen };
