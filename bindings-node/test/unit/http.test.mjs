// The HTTP manners against the vectors that every binding plays, and what is Node's own about them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { AccessList, ClientAddress } = require('../../lib/http.cjs');
const { askedMs, http, isFailed } = require('../../lib/classify.cjs');

const cases = (name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8')).cases;
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const options = (config) => Object.fromEntries(Object.entries(config).map(([name, value]) => [camel(name), value]));

function play(name, make, ask) {
  describe(name, () => {
    for (const given of cases(name)) {
      it(given.name, () => {
        if (given.error !== undefined) {
          assert.throws(
            () => make(options(given.config)),
            (error) => error instanceof RangeError && error.message.startsWith(camel(given.error)),
          );
          return;
        }
        const subject = make(options(given.config));
        for (const question of given.asks) ask(subject, question);
      });
    }
  });
}

play(
  'client_address',
  (config) => new ClientAddress(config),
  (clients, { peer, lines, key }) => assert.equal(clients.key(peer, lines), key, `${peer} ${JSON.stringify(lines)}`),
);

play(
  'access_list',
  (config) => new AccessList(config),
  (list, { address, key, verdict }) => {
    assert.equal(list.verdict(address, key), verdict, `${address} ${key}`);
    assert.equal(list.verdict(address, Buffer.from(key)), verdict);
  },
);

play(
  'http_answers',
  ({ maxRetryAfterNs, slowCallDurationNs: slow }) => [
    Number(maxRetryAfterNs) / 1e6,
    http({ slowCallDurationMs: slow === undefined ? undefined : Number(slow) / 1e6 }),
  ],
  ([most, classifier], ask) => {
    const headers = { 'retry-after': ask.retry_after, 'retry-after-ms': ask.retry_after_ms, date: ask.date };
    const answer = { status: ask.status, headers };
    const wait = ask.retry_after_ns === null ? undefined : Number(ask.retry_after_ns) / 1e6;
    const got = [isFailed(answer), askedMs(answer, most, Number(ask.now_ms ?? 0))];
    assert.deepEqual(got, [ask.outcome === 'failure', wait], JSON.stringify(ask));
    const { outcome } = classifier.result({ status: ask.status }, Number(ask.duration_ns ?? 0) / 1e6);
    assert.equal(outcome, ask.outcome, JSON.stringify(ask));
  },
);

describe('ClientAddress', () => {
  it('takes a header as node joins it, and a peer that is not there', () => {
    const clients = new ClientAddress({ trusted: ['10.0.0.0/8', 'unix'] });
    assert.equal(clients.header, 'x-forwarded-for');
    assert.equal(clients.key('10.0.0.1', '6.6.6.6, 203.0.113.9'), '203.0.113.9');
    assert.equal(clients.key(undefined, '203.0.113.9'), '203.0.113.9');
    assert.equal(clients.key(undefined), '');
    assert.equal(clients.address('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(clients.address('testclient'), undefined);
    assert.equal(new ClientAddress().header, undefined);
  });

  it('takes thousands of entries and lines', () => {
    const clients = new ClientAddress({ trusted: ['10.0.0.0/8'] });
    assert.equal(clients.key('10.0.0.1', `${'10.0.0.2, '.repeat(100_000)}203.0.113.9`), '203.0.113.9');
    assert.equal(clients.key('10.0.0.1', ['203.0.113.9', ...Array(100_000).fill('10.0.0.2')]), '10.0.0.2');
  });

  it('keeps several apart', () => {
    const all = [64, 48, 128].map((ipv6Prefix) => new ClientAddress({ ipv6Prefix }));
    assert.deepEqual(
      all.map((clients) => clients.key('2001:db8:1:2::7')),
      ['2001:db8:1:2::/64', '2001:db8:1::/48', '2001:db8:1:2::7'],
    );
  });

  it('refuses wrong types', () => {
    for (const wrong of [{ trusted: '10.0.0.0/8' }, { trusted: [5] }, { header: 5 }, { ipv6Prefix: '64' }]) {
      assert.throws(() => new ClientAddress(wrong), TypeError);
    }
    assert.throws(() => new ClientAddress({ proxies: [] }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => new ClientAddress().key(5), TypeError);
    assert.throws(() => new ClientAddress().key('', [5]), TypeError);
    assert.throws(() => new AccessList({ deny: [null] }), TypeError);
    assert.throws(() => new AccessList().verdict('', 5), TypeError);
    assert.throws(() => ClientAddress.prototype.key.call({}, ''), TypeError);
  });
});
