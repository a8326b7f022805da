// Calls that are slow before they end: countOverdue.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { BreakerRegistry, CircuitBreaker, CircuitOpenError, ManualClock } from 'tidegate';

const { cases } = JSON.parse(readFileSync(new URL('../../../tests/resilience/overdue.json', import.meta.url), 'utf8'));
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const settings = (given = {}) => Object.fromEntries(Object.entries(given).map(([name, value]) => [camel(name), value]));

function watched(clock, more) {
  const usual = { slowCallDurationMs: 500, countOverdue: true, windowCalls: 100, minCalls: 100, clock };
  return new CircuitBreaker('it', { ...usual, ...more });
}

describe('countOverdue', () => {
  for (const { name, settings: given, steps } of cases) {
    it(name, () => {
      const clock = new ManualClock();
      clock.advance(60_000);
      const breaker = watched(clock, settings(given));
      const permits = new Map();
      for (const step of steps) {
        clock.setNs(clock.nowNs + BigInt(step.advance_ms ?? 0) * 1_000_000n);
        if (step.set !== undefined) breaker.setConfig(settings(step.set));
        if (step.reset) breaker.reset();
        if (step.begin !== undefined) permits.set(step.begin, breaker.acquire());
        if (step.refused === 'error') assert.throws(() => breaker.acquire(), CircuitOpenError);
        else if (step.refused !== undefined) assert.equal(breaker.tryAcquire(), null);
        if (step.end !== undefined) permits.get(step.end)[step.as]();
        const stats = breaker.stats();
        for (const key of ['calls', 'failed', 'slow', 'state']) {
          if (step[key] !== undefined) assert.equal(stats[key], step[key], `${key} after ${JSON.stringify(step)}`);
        }
      }
    });
  }

  it('watches calls in every form', async () => {
    const clock = new ManualClock();
    const breaker = watched(clock);
    const seen = [];
    const hangs = () => {
      clock.advance(600);
      breaker.acquire().release();
      seen.push(breaker.stats().slow);
    };
    breaker.call(hangs);
    breaker.wrap(hangs)();
    await breaker.call(async () => hangs());
    const permit = breaker.tryAcquire();
    hangs();
    permit.result(1);
    assert.throws(() => breaker.call(() => (hangs(), JSON.parse('{'))), SyntaxError);
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    const { calls, failed, slow } = breaker.stats();
    assert.deepEqual([calls, failed, slow], [5, 0, 5]);
  });

  it('opens the circuit before any promise settles', async () => {
    const clock = new ManualClock();
    const breaker = watched(clock, { minCalls: 3 });
    let release;
    const hung = new Promise((resolve) => (release = resolve));
    const calls = Array.from({ length: 3 }, () => breaker.call(() => hung));
    clock.advance(600);
    breaker.tryAcquire();
    assert.throws(() => breaker.acquire(), CircuitOpenError);
    release(5);
    assert.deepEqual(await Promise.all(calls), [5, 5, 5]);
    const { lastTrip } = breaker.stats();
    assert.deepEqual([lastTrip.calls, lastTrip.failed, lastTrip.slow], [3, 0, 3]);
  });

  it('needs a duration, and is shown', () => {
    const clock = new ManualClock();
    const message = /countOverdue: without slowCallDurationMs/;
    assert.throws(() => new CircuitBreaker('it', { countOverdue: true }), message);
    assert.throws(() => new BreakerRegistry({ countOverdue: true }), message);
    for (const wrong of [1, 'yes']) {
      const options = { slowCallDurationMs: 1, countOverdue: wrong };
      assert.throws(() => new CircuitBreaker('it', options), /^TypeError.*countOverdue must be a boolean/);
    }
    const breaker = watched(clock);
    const before = breaker.config;
    assert.equal(before.countOverdue, true);
    assert.throws(() => breaker.setConfig({ slowCallDurationMs: null }), message);
    assert.throws(() => breaker.setConfig({ slowCallDurationMs: null, countOverdue: true }), message);
    assert.deepEqual(breaker.config, before);
    breaker.setConfig({ slowCallDurationMs: null, countOverdue: false });
    assert.deepEqual(breaker.config, { ...before, slowCallDurationMs: null, countOverdue: false });
    assert.throws(() => breaker.setConfig({ countOverdue: true }), message);
    breaker.setConfig(before);
    assert.deepEqual([breaker.config, watched(clock, before).config], [before, before]);
    assert.equal(new CircuitBreaker('plain').config.countOverdue, false);
  });

  it('is of all breakers of a registry', () => {
    const clock = new ManualClock();
    const hosts = new BreakerRegistry({ slowCallDurationMs: 500, countOverdue: true, clock });
    const breaker = hosts.get('bank');
    const permits = [breaker.acquire(), hosts.get('shop').acquire()];
    clock.advance(600);
    hosts.get('bank').acquire().success();
    const count = ({ calls, slow }) => [calls, slow];
    assert.deepEqual([count(breaker.stats()), count(hosts.get('shop').stats())], [[2, 1], [0, 0]]);
    for (const permit of permits) permit.success();
    assert.deepEqual([count(breaker.stats()), count(hosts.get('shop').stats())], [[2, 1], [1, 1]]);
  });

  it('is of a pattern of a registry', () => {
    const overrides = { 'a.internal': {}, '*.internal': { slowCallDurationMs: 1000, countOverdue: true } };
    const hosts = new BreakerRegistry({ overrides });
    const held = ['a.internal', 'b.internal', 'c'].map((key) => hosts.get(key));
    const watching = () => {
      const all = [...held, hosts.get('d.internal'), hosts.get('d'), hosts.overflow];
      return all.map((breaker) => Number(breaker.config.countOverdue)).join('');
    };
    assert.equal(watching(), '110100');
    hosts.setConfig('a.internal', { countOverdue: false });
    assert.equal(watching(), '010100');
    hosts.setConfig('*', { slowCallDurationMs: 2000, countOverdue: true });
    assert.equal(watching(), '011111');
    hosts.setConfig('c*', { cooldownMs: 3000 });
    assert.equal(watching(), '011111', 'nothing is said of it');
    const before = held.map(({ config }) => config);
    for (const pattern of ['c*', 'x']) {
      const change = () => hosts.setConfig(pattern, { slowCallDurationMs: null });
      assert.throws(change, { name: 'RangeError', message: /^countOverdue: without slowCallDurationMs/ });
    }
    assert.throws(() => hosts.setConfig('*', { countOverdue: 1 }), { name: 'TypeError', message: /^countOverdue/ });
    assert.deepEqual(held.map(({ config }) => config), before);
    const wrong = { a: { countOverdue: true } };
    const said = /^RangeError: overrides\['a'\]: countOverdue: without/;
    assert.throws(() => new BreakerRegistry({ overrides: wrong }), said);
    hosts.setConfig('*', { slowCallDurationMs: null, countOverdue: false });
    assert.equal(watching(), '011100', 'other patterns say more of their keys');
  });
});
