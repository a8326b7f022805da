'use strict';

const { TokenBucket } = require('../index.cjs');
const check = require('../lib/check.cjs');

const OPTIONS = ['name', 'burst', 'key', 'cost'];

/** `"` and `\` are escaped in a structured-field string (RFC 9651). */
function quoted(name) {
  if (typeof name !== 'string' || !/^[\x20-\x7e]+$/.test(name)) {
    throw check.typeError(`name must be printable ASCII, because it stands in a header, got ${check.show(name)}`);
  }
  return `"${name.replace(/["\\]/g, '\\$&')}"`;
}

/** One limit of a route or of the application: what it asks, with which cost and key, and how it presents itself. */
class Limit {
  #item;
  #policyLimit = NaN;
  #policy;

  /**
   * @param rate '5/minute', a TokenBucket, or any limit of that shape: `check(n)`, or `check(key, n)` where it says
   *   `keyed: true`
   */
  constructor(rate, options = {}) {
    const { name = 'route', burst, key, cost = 1 } = check.options(options, 'RateLimit', OPTIONS);
    this.#item = quoted(name);
    this.name = name;
    if (typeof rate === 'string' || typeof rate === 'number') {
      this.source = new TokenBucket({ rate, burst });
    } else if (typeof rate?.check === 'function') {
      if (burst !== undefined) throw check.valueError('burst: the limit that was passed in has its own; leave burst out');
      this.source = rate;
    } else {
      throw check.typeError(`rate must be a text such as '5/minute' or a TokenBucket, got ${check.show(rate)}`);
    }
    this.keyed = this.source.keyed === true;
    if (key !== undefined) {
      check.callable(key, 'key');
      if (!this.keyed) {
        throw check.valueError(
          'key: this limit is one for everybody; a key needs a keyed limit (an object with keyed: true and check(key, n))',
        );
      }
    }
    if (typeof cost !== 'function') {
      const { burst: most = 0xffff_ffff } = this.source.quota ?? {};
      check.whole(cost, 'cost (at most the burst, or no request could pass)', 1, most);
    }
    this.key = key;
    this.cost = cost;
  }

  /** RateLimit-Policy: `q` tokens at once, all back within `w` seconds. Made anew when the burst has changed. */
  policy(limit) {
    if (limit !== this.#policyLimit) {
      const { quota } = this.source;
      const windowMs = quota === undefined ? undefined : (quota.burst * quota.periodMs) / quota.count;
      const window = windowMs === undefined ? '' : `;w=${Math.max(1, Math.ceil(windowMs / 1000))}`;
      this.#policyLimit = limit;
      this.#policy = `${this.#item};q=${limit}${window}`;
    }
    return this.#policy;
  }

  /** RateLimit: what remains, and the seconds until all is back. */
  state(decision) {
    return `${this.#item};r=${decision.remaining};t=${Math.ceil(decision.resetAfterMs / 1000)}`;
  }
}

module.exports = { Limit };
