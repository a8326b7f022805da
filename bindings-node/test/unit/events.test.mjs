// Listening to a breaker: told of everything in order, by one timer, which stands only while somebody listens.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CircuitBreaker, ManualClock } from 'tidegate';
import { until } from './until.mjs';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

function circuit() {
  const clock = new ManualClock();
  return { clock, breaker: new CircuitBreaker('bank', { consecutiveFailures: 1, cooldownMs: 1000, clock }) };
}

describe('listeners', () => {
  it('hear what is new, in order, until they are off', async () => {
    const { clock, breaker } = circuit();
    breaker.forceOpen();
    breaker.reset();
    const heard = [];
    const listener = (event) => heard.push(event);
    for (const kind of ['opened', 'half_opened', 'probe_succeeded', 'closed']) {
      assert.equal(breaker.on(kind, listener), breaker);
    }
    const once = [];
    breaker.once('opened', ({ seq }) => once.push(seq));
    breaker.acquire().failure();
    await until(() => heard.length === 1);
    clock.advance(1000);
    breaker.acquire().success();
    await until(() => heard.length === 4);
    assert.deepEqual(
      heard.map(({ kind }) => kind),
      ['opened', 'half_opened', 'probe_succeeded', 'closed'],
    );
    assert.deepEqual(heard, breaker.events(2));
    assert.equal(heard[0].trip.failed, 1);
    breaker.off('opened', listener).off('opened', listener);
    breaker.acquire().failure();
    breaker.forceOpen();
    breaker.reset();
    await until(() => heard.length === 5);
    assert.deepEqual([heard[4].kind, once.length], ['closed', 1]);
    for (const kind of ['half_opened', 'probe_succeeded', 'closed']) breaker.off(kind, listener);
  });

  it('share one timer, which goes with the last of them', () => {
    const before = timers();
    const breakers = Array.from({ length: 20 }, () => circuit().breaker);
    const listener = () => {};
    for (const breaker of breakers) breaker.on('opened', listener).on('closed', listener);
    // It is unref'd, and what keeps no process alive is not an active resource.
    assert.equal(timers(), before);
    for (const breaker of breakers) breaker.off('opened', listener).off('closed', listener);
    const program = `
      const made = [];
      const { setInterval: make, clearInterval: end } = globalThis;
      globalThis.setInterval = (...given) => (made.push('made'), make(...given));
      globalThis.clearInterval = (...given) => (made.push('cleared'), end(...given));
      const { CircuitBreaker } = require('./index.cjs');
      const one = new CircuitBreaker('one');
      const other = new CircuitBreaker('other');
      const listener = () => {};
      one.on('opened', listener);
      other.on('opened', listener).on('closed', listener).once('closed', listener);
      one.off('opened', listener);
      other.off('opened', listener).off('closed', listener);
      console.log(made.join());
      other.off('closed', listener);
      console.log(made.join());
      one.on('opened', listener);
      console.log(made.join());`;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    // It ends although somebody still listens.
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], { cwd, timeout: 30_000 });
    assert.equal(status, 0, String(stderr));
    assert.deepEqual(String(stdout).trim().split('\n'), ['made', 'made,cleared', 'made,cleared,made']);
  });

  it('that throw are a warning, and the others hear', async (t) => {
    const { breaker } = circuit();
    const [warnings, heard] = [[], []];
    const warned = (warning) => warnings.push(warning.message);
    process.on('warning', warned);
    t.after(() => process.off('warning', warned));
    breaker.on('opened', () => {
      throw new Error('no pager');
    });
    breaker.on('opened', async () => Promise.reject(new Error('no mail')));
    breaker.on('opened', (event) => heard.push(event));
    breaker.acquire().failure();
    await until(() => heard.length === 1 && warnings.length === 2);
    assert.deepEqual(warnings, ["a listener of 'opened' failed: no pager", "a listener of 'opened' failed: no mail"]);
    assert.equal(breaker.state, 'open');
  });

  it('may come and go while they are told', async () => {
    const { breaker } = circuit();
    const heard = [];
    const second = () => heard.push('second');
    breaker.on('opened', () => {
      heard.push('first');
      breaker.off('opened', second);
      breaker.on('opened', () => heard.push('new'));
    });
    breaker.on('opened', second);
    breaker.acquire().failure();
    await until(() => heard.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.deepEqual(heard, ['first']);
  });

  it('are called in the context in which they came', async () => {
    const { breaker } = circuit();
    const log = new AsyncLocalStorage();
    const seen = [];
    log.run('request 1', () => breaker.once('opened', () => seen.push(log.getStore())));
    breaker.once('opened', () => seen.push(log.getStore()));
    breaker.acquire().failure();
    await until(() => seen.length === 2);
    assert.deepEqual(seen, ['request 1', undefined]);
  });

  it('go with their breaker', { skip: globalThis.gc === undefined && 'needs --expose-gc' }, async () => {
    const refs = [];
    for (let i = 0; i < 50; i += 1) {
      const { breaker } = circuit();
      breaker.on('opened', () => breaker.state);
      refs.push(new WeakRef(breaker));
    }
    await until(() => {
      globalThis.gc();
      return refs.every((ref) => ref.deref() === undefined);
    });
  });

  it('are functions, for kinds that there are', () => {
    const { breaker } = circuit();
    for (const method of ['on', 'once', 'off']) {
      assert.throws(() => breaker[method]('open', () => {}), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /opened.*'open'/,
      });
      assert.throws(() => breaker[method]('opened'), { code: 'ERR_INVALID_ARG_TYPE', message: /listener/ });
      const detached = breaker[method];
      assert.throws(() => detached('opened', () => {}), { message: new RegExp(`CircuitBreaker.prototype.${method}`) });
    }
  });
});
