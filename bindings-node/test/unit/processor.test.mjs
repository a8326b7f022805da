import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { inspect, promisify } from 'node:util';
import {
  Deadline,
  ManualClock,
  Processor,
  QueueClosedError,
  QueueFullError,
  RetryBudget,
  RetryBudgetExceededError,
  RetryPolicy,
  TimeoutExceededError,
  http,
} from 'tidegate';
import { until } from './until.mjs';

const addsUp = ({ waiting, active, retrying, done, failed, dead, accepted }) =>
  waiting + active + retrying + done + failed + dead === accepted;

/** A handler that runs until it is let go. */
function gated() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  const began = [];
  const handler = async (item) => {
    began.push(item);
    await opened;
    return item;
  };
  return { began, handler, open };
}

const fails = async (item) => {
  throw new Error(`failed ${item}`);
};
const codeOf = (code) => (error) => error.code === code;
const PROGRAM = { cwd: import.meta.dirname, timeout: 30_000 };
const run = (code) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], PROGRAM);
const soon = () => new Promise((resolve) => setImmediate(resolve));

describe('Processor', () => {
  it('works off all that is submitted, and every snapshot adds up', async () => {
    const tried = new Map();
    const letters = [];
    const looks = [];
    const processor = new Processor(
      async (item) => {
        looks.push(processor.stats());
        await soon();
        looks.push(processor.stats());
        tried.set(item, (tried.get(item) ?? 0) + 1);
        if (item % 5 === 0 || (item % 7 === 0 && tried.get(item) === 1)) throw new Error(String(item));
        return item * 2;
      },
      {
        workers: 4,
        capacity: 20,
        retry: new RetryPolicy({ attempts: 2, baseMs: 1 }),
        deadLetter: (item, error, attempts) => {
          looks.push(processor.stats());
          letters.push([item, error.message, attempts]);
          if (item % 10 === 0) throw new Error('unwritten');
        },
      },
    );
    const jobs = [];
    for (let item = 0; item < 300; item += 1) {
      jobs.push(await processor.submit(item));
      looks.push(processor.stats());
    }
    assert.deepEqual(await processor.close(), []);
    const results = await Promise.allSettled(jobs.map(({ result }) => result));
    assert.equal(results[3].value, 6);
    assert.equal(results[5].reason.message, '5');
    assert.deepEqual(letters.map(([item]) => item).sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i * 5));
    assert.ok(letters.every(([item, message, attempts]) => message === String(item) && attempts === 2));
    const stats = processor.stats();
    assert.deepEqual([stats.done, stats.failed, stats.dead, stats.accepted], [240, 30, 30, 300]);
    assert.deepEqual(looks.filter((look) => !addsUp(look)), []);
    assert.ok(looks.every(({ waiting, active, retrying }) => active <= 4 && waiting + active + retrying <= 24));
  });

  it('waits for room, in order, and gives up in time', async () => {
    const { handler, open, began } = gated();
    const processor = new Processor(handler, { workers: 1, capacity: 1, retryAfterMs: 3000 });
    await processor.submit(0);
    await processor.submit(1);
    assert.equal(processor.trySubmit(2), undefined);
    assert.deepEqual([processor.isAccepting, processor.depth], [false, 1]);
    await assert.rejects(processor.submit(2, { timeoutMs: 5 }), (error) => {
      assert.ok(error instanceof QueueFullError);
      assert.equal(error.retryAfterMs, 3000);
      return true;
    });
    const controller = new AbortController();
    const aborted = processor.submit(2, { signal: controller.signal });
    controller.abort(new Error('gone'));
    await assert.rejects(aborted, { message: 'gone' });
    const waits = [processor.submit(3), processor.submit(4)];
    open();
    for (const [index, waiting] of waits.entries()) assert.equal(await (await waiting).result, 3 + index);
    await processor.close();
    assert.deepEqual(began, [0, 1, 3, 4]);
    assert.equal(processor.stats().rejected, 2);
  });

  it('takes out what is cancelled before it begins, whose room is free at once', async () => {
    const { handler, open, began } = gated();
    const processor = new Processor(handler, { workers: 1, capacity: 2 });
    const [first, second, third] = await Promise.all([0, 1, 2].map((item) => processor.submit(item)));
    assert.equal(second.cancel(), true);
    assert.equal(second.cancel(), false);
    assert.equal(first.cancel(), false);
    await assert.rejects(second.result, { name: 'AbortError' });
    const fourth = processor.trySubmit(3);
    open();
    assert.deepEqual(await Promise.all([first, third, fourth].map(({ result }) => result)), [0, 2, 3]);
    assert.equal(third.cancel(), false);
    await processor.close();
    assert.deepEqual(began, [0, 2, 3]);
    const { accepted, withdrawn } = processor.stats();
    assert.deepEqual([accepted, withdrawn], [3, 1]);
  });

  it('neither loses rooms nor makes some up', async () => {
    const processor = new Processor(soon, { workers: 2, capacity: 3 });
    const submit = async (own) => {
      for (let item = 0; item < 100; item += 1) {
        const controller = new AbortController();
        const submitted = processor.submit(item, { timeoutMs: item % 3, signal: controller.signal });
        if (item % 5 === own) setImmediate(() => controller.abort());
        const job = await submitted.catch(() => undefined);
        if (item % 4 === own) job?.cancel();
      }
    };
    await Promise.all([0, 1, 2, 3].map(submit));
    await until(() => processor.stats().active === 0 && processor.depth === 0);
    const taken = [];
    for (let job = processor.trySubmit(0); job !== undefined; job = processor.trySubmit(0)) taken.push(job);
    assert.equal(taken.length, 5);
    await processor.close();
    assert.ok(addsUp(processor.stats()));
  });

  it('lets a retry hold its place and no worker', async () => {
    const clock = new ManualClock();
    const tries = [];
    const processor = new Processor(
      async (item) => {
        tries.push(item);
        if (item === 'a' && tries.length === 1) throw new Error('once');
        return item;
      },
      { workers: 1, capacity: 1, retry: new RetryPolicy({ baseMs: 1000, jitter: 'none', clock }) },
    );
    const first = await processor.submit('a');
    await until(() => processor.stats().retrying === 1);
    assert.equal(processor.trySubmit('b'), undefined);
    assert.deepEqual([processor.stats().active, processor.depth], [0, 1]);
    clock.advance(1000);
    assert.equal(await first.result, 'a');
    assert.equal(await (await processor.submit('b')).result, 'b');
    assert.deepEqual(tries, ['a', 'a', 'b']);
    await processor.close();
  });

  it('owes a place where a failed attempt finds none', async () => {
    const { handler, open, began } = gated();
    const clock = new ManualClock();
    let failing = true;
    const processor = new Processor(
      async (item) => {
        await handler(item);
        if (item === 0 && failing) {
          failing = false;
          throw new Error('once');
        }
        if (item === 1) await new Promise((resolve) => (processor.go = resolve));
        return item;
      },
      { workers: 1, capacity: 1, retry: new RetryPolicy({ baseMs: 1, jitter: 'none', clock }) },
    );
    const [first, second] = await Promise.all([processor.submit(0), processor.submit(1)]);
    open();
    await until(() => began.length === 2 && processor.go !== undefined);
    assert.equal(processor.trySubmit(2), undefined);
    assert.equal(processor.stats().retrying, 1);
    clock.advance(1);
    assert.equal(processor.stats().waiting, 1);
    processor.go();
    assert.deepEqual([await first.result, await second.result], [0, 1]);
    await until(() => processor.stats().active === 0);
    assert.ok(processor.trySubmit(3) !== undefined && processor.isAccepting);
    await processor.close();
  });

  it('pays into its budget once an item, whatever its handler calls', async () => {
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 0 });
    const inner = new RetryPolicy({ attempts: 1, budget });
    for (const timeoutMs of [undefined, 60_000]) {
      let tried;
      const before = budget.stats();
      const late = [];
      const work = async (item) => {
        await inner.call(soon);
        // What goes on after the attempt pays for itself.
        if (item === 7) late.push(soon().then(soon).then(() => inner.call(soon)));
        if (item % 10 === 9 && tried !== item) {
          tried = item;
          throw new Error('x');
        }
      };
      const processor = new Processor(work, {
        ...{ workers: 1, capacity: 100, timeoutMs },
        retry: new RetryPolicy({ attempts: 2, baseMs: 0, budget }),
        deadLetter: () => {},
      });
      for (let item = 0; item < 50; item += 1) {
        const job = await processor.submit(item);
        await job.result.catch(() => {});
        await Promise.all(late);
      }
      await processor.close();
      const { retries, dead, done } = processor.stats();
      assert.deepEqual([retries, dead, done], [5, 0, 50]);
      // 50 items and the late call, however many attempts and calls within.
      const { deposited, withdrawn, denied } = budget.stats();
      assert.deepEqual([deposited - before.deposited, withdrawn - before.withdrawn, denied], [51, 5, 0]);
    }
  });

  it('gives what an empty budget, a mistake and a policy that throws leave to the dead letter', async () => {
    const letters = [];
    const deadLetter = async (item, error, attempts) => void letters.push([item, error.constructor, attempts]);
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0 });
    const retries = [
      new RetryPolicy({ attempts: 5, baseMs: 0, budget }),
      new RetryPolicy({
        retryOn: () => {
          throw new RangeError('judge');
        },
      }),
    ];
    for (const retry of retries) {
      const processor = new Processor(fails, { retry, deadLetter });
      await assert.rejects((await processor.submit(1)).result);
      await processor.close();
    }
    const mistaken = new Processor((item) => item.nothing.there, { retry: new RetryPolicy(), deadLetter });
    await assert.rejects((await mistaken.submit(2)).result, TypeError);
    await mistaken.close();
    assert.deepEqual(letters, [[1, RetryBudgetExceededError, 1], [1, RangeError, 1], [2, TypeError, 1]]);
  });

  it('tries a result again that a classifier calls failed', async () => {
    const answers = [503, 503, 200].map((status) => ({ status, headers: new Headers() }));
    const left = [...answers];
    const processor = new Processor(() => left.shift(), {
      retry: new RetryPolicy({ attempts: 3, baseMs: 1, retryOn: http() }),
    });
    assert.equal(await (await processor.submit(1)).result, answers[2]);
    await processor.close();
    assert.deepEqual([processor.stats().retries, processor.stats().done], [2, 1]);
  });

  for (const how of ['throws', 'rejects', 'hangs']) {
    it(`keeps the error of an item whose dead letter ${how}`, async () => {
      const deadLetter = (item) => {
        if (how === 'throws') throw new Error('letter');
        return how === 'rejects' ? Promise.reject(new Error(`letter ${item}`)) : new Promise(() => {});
      };
      const processor = new Processor(fails, { workers: 1, deadLetter, timeoutMs: 20 });
      const jobs = await Promise.all([1, 2].map((item) => processor.submit(item)));
      for (const { result } of jobs) await assert.rejects(result, { message: /^failed/ });
      assert.deepEqual([processor.stats().failed, processor.stats().dead], [2, 0]);
      await processor.close();
    });
  }

  it('cuts a handler that never returns, and tells it by its signal', async () => {
    const signals = [];
    const processor = new Processor(
      (item, signal) => {
        signals.push(signal, Deadline.current.signal);
        if (item !== 0) return item;
        return new Promise((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, 20)));
      },
      { workers: 1, timeoutMs: 30 },
    );
    const [hung, after] = [processor.trySubmit(0), processor.trySubmit(1)];
    assert.equal(await after.result, 1);
    await assert.rejects(hung.result, TimeoutExceededError);
    const { stuck, timedOut, failed } = processor.stats();
    assert.deepEqual([stuck, timedOut, failed, signals[0].aborted, signals[0] === signals[1]], [1, 1, 1, true, true]);
    await until(() => processor.stats().stuck === 0);
    assert.deepEqual(await processor.close(), []);
  });

  it('gives back what has not begun, and ends what waits for a retry', async () => {
    const { handler, open } = gated();
    const letters = [];
    const processor = new Processor((item) => (item === 'bad' ? fails(item) : handler(item)), {
      workers: 1,
      retry: new RetryPolicy({ baseMs: 1e6, maxDelayMs: 1e6, jitter: 'none' }),
      deadLetter: (item, error, attempts) => letters.push([item, attempts]),
    });
    const bad = processor.trySubmit('bad');
    await until(() => processor.stats().retrying === 1);
    const jobs = ['a', 'b', 'c'].map((item) => processor.trySubmit(item));
    const closing = processor.close({ drain: 'give_back' });
    await assert.rejects(jobs[1].result, { name: 'AbortError' });
    open();
    assert.deepEqual(await closing, ['b', 'c']);
    assert.equal(await jobs[0].result, 'a');
    await assert.rejects(bad.result, { message: 'failed bad' });
    assert.deepEqual(letters, [['bad', 1]]);
    assert.ok(addsUp(processor.stats()));
    assert.deepEqual([processor.stats().accepted, processor.stats().withdrawn], [2, 2]);
  });

  for (const timeoutMs of [undefined, 1e6]) {
    it(`cuts the rest when a close is out of time (timeout ${timeoutMs})`, async () => {
      const letters = [];
      const processor = new Processor(() => new Promise(() => {}), {
        workers: 2,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        retry: new RetryPolicy({ retryOn: () => true }),
        deadLetter: (item) => letters.push(item),
      });
      const jobs = [0, 1, 2, 3].map((item) => processor.trySubmit(item));
      assert.deepEqual(await processor.close({ timeoutMs: 20 }), [2, 3]);
      assert.deepEqual(letters, [0, 1]);
      await assert.rejects(jobs[0].result, { message: 'processor was closed before its handler returned' });
      const { dead, stuck } = processor.stats();
      assert.deepEqual([dead, stuck], [2, 2]);
    });
  }

  it('refuses what comes after the close, and tells who waits', async () => {
    const { handler, open } = gated();
    const processor = new Processor(handler, { workers: 1, capacity: 1 });
    await processor.submit(0);
    await processor.submit(1);
    const waiting = processor.submit(2);
    const closed = Promise.all([processor.close(), processor.close({ drain: 'give_back' })]);
    await assert.rejects(waiting, QueueClosedError);
    await assert.rejects(processor.submit(3), { message: 'processor is closed' });
    assert.throws(() => processor.trySubmit(3), QueueClosedError);
    open();
    assert.deepEqual(await closed, [[], [1]]);
    assert.equal(processor.isClosed, true);
  });

  it('does not wait for itself when a handler closes it', async () => {
    const given = [];
    const processor = new Processor(
      async (item) => {
        if (item === 0) given.push(await processor.close());
        return item;
      },
      { workers: 1 },
    );
    const jobs = [0, 1, 2].map((item) => processor.trySubmit(item));
    assert.deepEqual(await Promise.all(jobs.map(({ result }) => result)), [0, 1, 2]);
    assert.deepEqual(given, [[]]);
    await processor.close();
  });

  it('runs where it was made, and not where it was submitted', async () => {
    const storage = new AsyncLocalStorage();
    const processor = storage.run('made', () => new Processor(() => [storage.getStore(), Deadline.current]));
    const look = async () => (await processor.submit(1)).result;
    const seen = await storage.run('submitted', () => Deadline.after(1000).run(look));
    assert.deepEqual(seen, ['made', undefined]);
    await processor.close();
  });

  it('lets timers run between items that never wait', async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 0);
    const processor = new Processor((item) => {
      for (const end = performance.now() + 0.1; performance.now() < end;);
      return item;
    });
    for (let item = 0; item < 2000; item += 1) processor.trySubmit(item);
    await processor.close();
    clearInterval(timer);
    assert.ok(ticks >= 3, `${ticks}`);
  });

  it('ends no process by a rejection that nobody takes', async () => {
    const program = `
      import { Processor } from 'tidegate';
      const processor = new Processor(() => Promise.reject(new Error('x')));
      const job = await processor.submit(1);
      void job.result;
      await processor.submit(2);
      await processor.close();
      await new Promise((resolve) => setTimeout(resolve, 10));
      console.log(processor.stats().failed);`;
    const { stdout } = await run(program);
    assert.equal(stdout.trim(), '2');
  });

  it('says at the end of the program what is left', async () => {
    const program = `
      import { Processor } from 'tidegate';
      const processor = new Processor(() => new Promise(() => {}), { workers: 2 });
      for (let item = 0; item < 5; item += 1) await processor.submit(item);`;
    const { stderr } = await run(program);
    assert.match(stderr, /the program ends with 5 items in a Processor \(3 waiting, 2 active\)/);
  });

  it('leaves no timer behind that would keep the process', async () => {
    const program = `
      import { Processor, RetryPolicy } from 'tidegate';
      const retry = new RetryPolicy({ baseMs: 1e6, maxDelayMs: 1e6, jitter: 'none' });
      const processor = new Processor(() => Promise.reject(new Error('x')), { retry, timeoutMs: 1e6 });
      await processor.submit(1);
      while (processor.stats().retrying === 0) await new Promise((resolve) => setImmediate(resolve));
      await processor.close({ drain: 'give_back' });
      console.log(processor.stats().failed);`;
    const { stdout } = await run(program);
    assert.equal(stdout.trim(), '1');
  });

  it('refuses wrong arguments', async () => {
    const wrong = [
      [() => new Processor(), 'ERR_INVALID_ARG_TYPE', 'handler'],
      [() => new Processor(function* () {}), 'ERR_INVALID_ARG_TYPE', 'generator'],
      [() => new Processor(fails, { workers: 0 }), 'ERR_OUT_OF_RANGE', 'workers'],
      [() => new Processor(fails, { capacity: 0 }), 'ERR_OUT_OF_RANGE', 'capacity'],
      [() => new Processor(fails, { retry: 3 }), 'ERR_INVALID_ARG_TYPE', 'retry'],
      [() => new Processor(fails, { deadLetter: 3 }), 'ERR_INVALID_ARG_TYPE', 'deadLetter'],
      [() => new Processor(fails, { timeoutMs: 0 }), 'ERR_OUT_OF_RANGE', 'timeoutMs'],
      [() => new Processor(fails, { retryAfterMs: -1 }), 'ERR_OUT_OF_RANGE', 'retryAfterMs'],
      [() => new Processor(fails, { worker: 1 }), 'ERR_INVALID_ARG_VALUE', "no option 'worker'"],
    ];
    for (const [make, code, text] of wrong) {
      assert.throws(make, (error) => codeOf(code)(error) && error.message.includes(text), text);
    }
    const processor = new Processor(fails);
    await assert.rejects(processor.close({ drain: false }), codeOf('ERR_INVALID_ARG_VALUE'));
    await assert.rejects(processor.submit(1, { timeoutMs: 'x' }), codeOf('ERR_INVALID_ARG_TYPE'));
    const { submit } = processor;
    await assert.rejects(submit(1), /without its Processor/);
    await processor.close();
  });

  it('shows itself', async () => {
    const processor = new Processor(fails, { workers: 3 });
    assert.match(inspect(processor), /^Processor \{/);
    const { workers, capacity, accepted } = JSON.parse(JSON.stringify(processor));
    assert.deepEqual([workers, capacity, accepted], [3, 5000, 0]);
    if (Symbol.asyncDispose !== undefined) {
      await processor[Symbol.asyncDispose]();
      assert.equal(processor.isClosed, true);
    }
  });
});

describe('docs/processor.md', () => {
  it('has an example that runs', async () => {
    const page = readFileSync(new URL('../../../docs/processor.md', import.meta.url), 'utf8');
    const [, code] = /```js\n([^]*?)```/.exec(page);
    const entry = new URL('../../index.mjs', import.meta.url).href;
    const source = code.replace("'tidegate'", JSON.stringify(entry));
    const { accept, end, kept, orders } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    assert.equal(await accept({ id: '7' }), '7');
    await end();
    assert.deepEqual([kept, orders.isClosed, orders.stats().done], [[], true, 1]);
  });
});
