'use strict';

const check = require('../lib/check.cjs');

/** How far a group is behind: what the broker holds against what was committed, for each partition of a topic. */
class Lag {
  #admin;
  #groupId;
  #topics;
  #everyMs;
  #readAt = -Infinity;
  #partitions = new Map();
  #isKnown = false;
  #reading;

  constructor(admin, options) {
    const { groupId, topics, everyMs = 5000 } = check.options(options, 'new Lag', ['groupId', 'topics', 'everyMs']);
    for (const method of ['fetchOffsets', 'fetchTopicOffsets']) {
      if (typeof admin?.[method] !== 'function') {
        throw check.typeError(`admin must be what kafka.admin() gives, got ${check.show(admin)} without ${method}()`);
      }
    }
    this.#admin = admin;
    this.#groupId = check.text(groupId, 'groupId');
    if (!Array.isArray(topics)) throw check.typeError(`topics must be a list of texts, got ${check.show(topics)}`);
    this.#topics = topics.map((topic) => check.text(topic, 'topics'));
    this.#everyMs = check.period(everyMs, 'everyMs');
  }

  /** The sum; NaN while there is none. */
  get total() {
    if (!this.#isKnown) return NaN;
    return [...this.#partitions.values()].reduce((sum, { behind }) => sum + behind, 0);
  }

  /** The last answer. */
  get partitions() {
    return [...this.#partitions.values()].map((each) => ({ ...each }));
  }

  /** Asks the brokers if the last answer is older than `everyMs`, and gives the sum. */
  async refresh() {
    if (performance.now() - this.#readAt < this.#everyMs) return this.total;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
    return this.total;
  }

  async #read() {
    try {
      const groups = await this.#admin.fetchOffsets({ groupId: this.#groupId, topics: this.#topics });
      const found = new Map();
      for (const topic of this.#topics) {
        const committed = groups.find((each) => each.topic === topic)?.partitions ?? [];
        for (const { partition, low, high } of await this.#admin.fetchTopicOffsets(topic)) {
          const at = Number(committed.find((each) => each.partition === partition)?.offset ?? -1);
          // What retention has removed, nobody reads; of a group that has never committed, all is unread.
          const behind = Math.max(0, Number(high) - Math.max(at, Number(low)));
          found.set(`${topic}:${partition}`, { topic, partition, behind });
        }
      }
      this.#partitions = found;
      this.#isKnown = true;
      this.#readAt = performance.now();
    } catch (error) {
      // An old number would hide the trouble.
      this.#partitions = new Map();
      this.#isKnown = false;
      throw error;
    }
  }
}

module.exports = { Lag };
