'use strict';
// Partitions as keys: a Set of `topic:partition`.

const keyOf = (topic, partition) => `${topic}:${partition}`;

/** Of `[{ topic, partitions }]`; without partitions, all of the topic in `held`. */
function listed(topics, held = new Set()) {
  const keys = new Set();
  for (const { topic, partitions } of topics) {
    if (partitions) for (const partition of partitions) keys.add(keyOf(topic, partition));
    else for (const key of held) if (key.slice(0, key.lastIndexOf(':')) === topic) keys.add(key);
  }
  return keys;
}

/** As `[{ topic, partitions }]`. */
function forEach(keys) {
  const topics = new Map();
  for (const key of keys) {
    const at = key.lastIndexOf(':');
    const topic = key.slice(0, at);
    if (!topics.has(topic)) topics.set(topic, []);
    topics.get(topic).push(Number(key.slice(at + 1)));
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

const without = (keys, others) => new Set([...keys].filter((key) => !others.has(key)));

/** A function that gives a consumer's partitions. It tells of them by an event, at which `changed` is called. */
function assigned(consumer, changed) {
  let held = new Set();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const topics = Object.entries(payload.memberAssignment);
    held = listed(topics.map(([topic, partitions]) => ({ topic, partitions })));
    // Before anything is fetched from them.
    changed();
  });
  return () => held;
}

module.exports = { assigned, forEach, keyOf, listed, without };
