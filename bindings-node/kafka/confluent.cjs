'use strict';
// Consumers of @confluentinc/kafka-javascript that pause by themselves. It is not imported: they are known by their
// methods.
//
// Their pause() drops what was fetched and seeks to behind what was resolved since the last seek. Of a partition of
// which nothing was, it skips what it has dropped; of one that has been another's since, it goes back to before that.
// So a partition is paused here in the handler of its own batch alone. What that leaves unresolved the client seeks to
// when the handler is over, after the pause: operations are done in their order, while no worker runs.

const check = require('../lib/check.cjs');
const { Switch } = require('../lib/pausing.cjs');
const { forEach, keyOf, listed, without } = require('./partitions.cjs');

const METHODS = ['run', 'subscribe', 'pause', 'resume', 'paused', 'assignment', 'committed', 'disconnect'];

const isConfluent = (consumer) => METHODS.every((method) => typeof consumer?.[method] === 'function');

/** With more, a seek of one batch may come after a rebalance that another has met, and hold for the next time. */
function oneAtATime({ partitionsConsumedConcurrently = 1 }) {
  if (partitionsConsumedConcurrently === 1) return;
  throw check.rangeError(
    'partitionsConsumedConcurrently must be 1 where a consumer of @confluentinc/kafka-javascript pauses, got ' +
      `${check.show(partitionsConsumedConcurrently)}: after a rebalance it would do again what others have committed`,
  );
}

function pauseConfluent(consumer, source, options) {
  // Paused by the user, and those that the client was told to pause, for either reason.
  const users = new Set();
  const stopped = new Set();

  function go(keys) {
    const back = [...keys].filter((key) => stopped.delete(key));
    if (back.length > 0) consumer.resume(forEach(back));
  }

  // A partition is paused at its next batch.
  const toggle = new Switch(source, options, 'pauseWhen', { pause() {}, resume: () => go(without(stopped, users)) });

  const held = () => new Set(consumer.assignment().map(({ topic, partition }) => keyOf(topic, partition)));
  const own = {
    pause(topics) {
      for (const key of listed(topics, held())) users.add(key);
      return () => own.resume(topics);
    },
    resume(topics) {
      const keys = listed(topics, held());
      for (const key of keys) users.delete(key);
      // Else after the pause.
      if (!toggle.paused) go(keys);
    },
    async run(config = {}) {
      oneAtATime(config);
      const given = { ...config };
      const { eachMessage, eachBatch, eachBatchAutoResolve = true } = config;
      if (eachMessage) {
        delete given.eachMessage;
        const handle = (payload) => (isLeft) => messages(eachMessage, payload, isLeft);
        given.eachBatch = (payload) => each(payload, handle(payload));
      } else if (eachBatch) {
        const handle = (payload) => (isLeft) => whole(eachBatch, payload, isLeft, eachBatchAutoResolve);
        given.eachBatch = (payload) => each(payload, handle(payload));
      }
      // Done here: a batch that was left in the middle must not be resolved as a whole.
      if (given.eachBatch) given.eachBatchAutoResolve = false;
      return consumer.run(given);
    },
    async disconnect(...given) {
      toggle.stop();
      stopped.clear();
      return consumer.disconnect(...given);
    },
  };

  const pauseOf = ({ topic, partition }) => () => own.pause([{ topic, partitions: [partition] }]);

  /** A batch, of which `handle` does as much as it may. */
  async function each(payload, handle) {
    const { topic, partition } = payload.batch;
    const key = keyOf(topic, partition);
    const isLeft = () => toggle.look() || users.has(key);
    try {
      if (!isLeft()) return await handle(isLeft);
    } finally {
      // What of it is not resolved the client goes back to once it has paused.
      if (isLeft()) {
        stopped.add(key);
        consumer.pause([{ topic, partitions: [partition] }]);
      }
    }
  }

  /** One by one, as the client itself: what was handled is resolved, also where the handler has sought elsewhere. */
  async function messages(handle, payload, isLeft) {
    const { topic, partition, messages: all } = payload.batch;
    const { heartbeat } = payload;
    for (const message of all) {
      if (isLeft() || payload.isStale()) return;
      await handle({ topic, partition, message, heartbeat, pause: pauseOf(payload.batch) });
      payload.resolveOffset(message.offset, message.leaderEpoch);
    }
  }

  async function whole(handle, payload, isLeft, resolvesAll) {
    const { batch } = payload;
    let wasTold = false;
    const isStale = () => (wasTold ||= isLeft() || payload.isStale());
    await handle({ ...payload, pause: pauseOf(batch), isStale });
    // Who was told to leave has resolved what he has done.
    if (resolvesAll && !wasTold && !payload.isStale()) {
      payload.resolveOffset(batch.lastOffset(), batch.messages.at(-1).leaderEpoch);
    }
  }

  return { own, toggle };
}

module.exports = { isConfluent, pauseConfluent };
