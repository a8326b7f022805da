'use strict';
// A rate that many machines share, spent from what this machine's agent has leased.

const { addon, words, numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { measured } = require('./measured.cjs');
const { QUOTA, count, decision, readQuota, writeMode, writeQuota } = require('./quota.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS, number, wrong } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { cluster } = addon;
const { tryAcquire } = cluster;
const { on_unreachable: ALONE, ...NUMBERS } = SETTINGS.cluster_limit;
/** Where the settings stand among the numbers; src/cluster.rs has the same list. */
const MODE = 3;
const AT = { sync: 5, lease: 6, timeout: 7, max_outstanding: 8, hosts: 9, fallback_for: 10 };
const OPTIONS = [
  ...QUOTA,
  ...PLACE,
  ...Object.values(SETTINGS.cluster_limit).map(({ name }) => name),
  'enabled',
  'dryRun',
];
const CLUSTER = 'cluster:';

let select;
let homeOf;

class ClusterLimit {
  #id;
  #home;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('ClusterLimit', method);
      words[0] = self.#id;
    };
    homeOf = (self) => self.#home;
  }

  constructor(options) {
    const given = check.options(options, 'new ClusterLimit', OPTIONS);
    const alone = given.onUnreachable;
    if (alone !== undefined && typeof alone !== 'string') throw wrong(ALONE, alone);
    const { scope } = given;
    // The arena of the machine.
    if (typeof scope === 'string' && scope.startsWith(CLUSTER)) given.scope = `host:${scope.slice(CLUSTER.length)}`;
    writeMode(given, MODE);
    for (const [name, field] of Object.entries(NUMBERS)) numbers[AT[name]] = number(field, given[field.name]);
    this.#home = create(cluster.create, this, given, writeQuota(SETTINGS.bucket, given), alone);
    this.#id = this.#home.id;
  }

  tryAcquire(n = 1) {
    select(this, 'tryAcquire');
    words[1] = count(n);
    tryAcquire();
    return words[1] === 1;
  }

  check(n = 1) {
    select(this, 'check');
    words[1] = count(n);
    cluster.check();
    return decision();
  }

  peek() {
    select(this, 'peek');
    cluster.peek();
    return decision();
  }

  get quota() {
    select(this, 'quota');
    cluster.quota();
    return readQuota();
  }

  get utilisation() {
    select(this, 'utilisation');
    cluster.quota();
    return numbers[3];
  }

  get memberId() {
    select(this, 'memberId');
    return cluster.memberId();
  }

  stats() {
    select(this, 'stats');
    const fault = cluster.stats();
    return counted.clusterLimit(numbers, fault);
  }
}

shown(ClusterLimit, (limit) => ({ name: homeOf(limit).name, quota: limit.quota, stats: limit.stats() }));

measured(ClusterLimit, 'cluster', (self) => select(self, 'add'));

module.exports = { ClusterLimit };
