// Errors over borders: two copies of the package in one process, and the other realm of a test runner such as jest.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import own from '../../index.cjs';

const require = createRequire(import.meta.url);
const here = fileURLToPath(new URL('../..', import.meta.url));

test('two copies of the package know the refusals of each other', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-copy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['index.cjs', 'package.json', 'lib', 'native'])
    cpSync(join(here, name), join(folder, name), { recursive: true });
  assert.ok(readdirSync(folder).includes('native'));
  const other = require(join(folder, 'index.cjs'));
  assert.notEqual(other.RateLimitedError, own.RateLimitedError);
  for (const name of ['RateLimitedError', 'CircuitOpenError', 'QueueFullError', 'ConcurrencyLimitError']) {
    const error = new other[name](name === 'CircuitOpenError' ? 'bank' : undefined, 5);
    assert.ok(error instanceof own[name], name);
    assert.ok(error instanceof own.TidegateError, name);
    assert.ok(!(error instanceof own.QueueClosedError), name);
  }
  // A refusal of the other copy is none of the guarded call's failures.
  const breaker = new own.CircuitBreaker('b', { consecutiveFailures: 1 });
  const refuse = () => {
    throw new other.RateLimitedError('no', 5);
  };
  assert.throws(() => breaker.call(refuse), own.RateLimitedError);
  assert.equal(breaker.state, 'closed');
  // A timeout of its is one.
  const late = () => {
    throw new other.TimeoutExceededError();
  };
  assert.throws(() => breaker.call(late), own.TimeoutExceededError);
  assert.equal(breaker.state, 'open');
});

test('errors of the addon are Errors of the realm that loaded the package', () => {
  // As jest does: the modules run in a context of their own, the addon is loaded by the main one.
  const Module = require('node:module');
  const cache = new Map();
  const realm = {
    Error: runInNewContext('Error'),
    RangeError: runInNewContext('RangeError'),
    TypeError: runInNewContext('TypeError'),
  };
  const context = runInNewContext('globalThis');
  Object.assign(context, { process, performance, setTimeout, clearTimeout, AbortSignal, Symbol });
  const load = (file) => {
    if (file.endsWith('.json') || file.endsWith('.node')) return require(file);
    if (cache.has(file)) return cache.get(file).exports;
    const module = { exports: {} };
    cache.set(file, module);
    const inner = createRequire(file);
    const source = Module.wrap(require('node:fs').readFileSync(file, 'utf8'));
    const resolve = (id) => (id.startsWith('.') ? load(inner.resolve(id)) : inner(id));
    context.eval(source)(module.exports, resolve, module, file, join(file, '..'));
    return module.exports;
  };
  const inside = load(join(here, 'index.cjs'));
  const errors = [
    () => new inside.TokenBucket({ rate: 'often' }),
    () => new inside.TokenBucket({ rate: '1/s', burst: 0 }),
    () => new inside.CircuitBreaker('b', { failureRateThreshold: 7 }),
    () => new inside.ConcurrencyLimiter({ limit: 1, scope: 'host:x', name: '' }),
  ];
  for (const make of errors) {
    let caught;
    try {
      make();
    } catch (error) {
      caught = error;
    }
    assert.ok(caught !== undefined, String(make));
    assert.ok(context.eval('(error) => error instanceof Error')(caught), `${make}: ${caught}`);
  }
  assert.ok(realm.Error);
});
