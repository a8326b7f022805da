import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { BoundedQueue, ManualClock, QueueClosedError } from 'tidegate';

const fill = (queue, n) => Array.from({ length: n }, (_, i) => queue.tryPush(i));

describe('BoundedQueue', () => {
  it('refuses from the high watermark until it is below the low one', () => {
    const queue = new BoundedQueue({ capacity: 10 });
    assert.deepEqual(fill(queue, 9), [...Array(8).fill(true), false]);
    assert.deepEqual([queue.isAccepting, queue.depth], [false, 8]);
    for (let i = 0; i < 3; i += 1) assert.equal(queue.tryPop(), i);
    assert.equal(queue.tryPush('x'), false);
    assert.equal(queue.tryPop(), 3);
    assert.equal(queue.tryPush('x'), true);
    const { depth, accepting, pushed, popped, rejected, dropped, leastDelayMs, overloaded } = queue.stats();
    assert.deepEqual([depth, accepting, pushed, popped, rejected, dropped], [5, true, 9, 4, 2, 0]);
    assert.deepEqual([leastDelayMs, overloaded], [undefined, false]);
  });

  it('drops the oldest', () => {
    const dropped = [];
    const queue = new BoundedQueue({ capacity: 3, onFull: 'drop_oldest', onDrop: (item) => dropped.push(item) });
    fill(queue, 5);
    assert.deepEqual(dropped, [0, 1]);
    assert.deepEqual(queue.drain(), [2, 3, 4]);
    assert.equal(queue.stats().dropped, 2);
  });

  it('keeps its order over thousands of items', () => {
    const queue = new BoundedQueue({ capacity: 5000, highWatermark: 1 });
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 200; round += 1) {
      while (queue.tryPush(next)) next += 1;
      for (let i = 0; i < 37; i += 1) assert.equal(queue.tryPop(), expected++);
    }
    assert.deepEqual(queue.drain()[0], expected);
  });

  it('tells how long an item waited', () => {
    const clock = new ManualClock();
    const queue = new BoundedQueue({ capacity: 4, sojourn: true, clock });
    queue.tryPush('a');
    clock.advance(12.5);
    assert.deepEqual(queue.tryPopTimed(), { item: 'a', sojournMs: 12.5 });
    assert.equal(queue.tryPopTimed(), undefined);
  });

  it('closes: refuses pushes, gives out what it took', async () => {
    const queue = new BoundedQueue({ capacity: 4, highWatermark: 1 });
    queue.tryPush('a');
    queue.close();
    assert.deepEqual([queue.tryPush('b'), queue.isClosed, queue.isAccepting], [false, true, false]);
    await assert.rejects(queue.push('b'), QueueClosedError);
    assert.equal(await queue.pop(), 'a');
    await assert.rejects(queue.pop(), { name: 'QueueClosedError', code: 'ERR_TIDEGATE_QUEUE_CLOSED' });
    assert.equal(queue.tryPop(), undefined);
  });

  it('takes anything but undefined', () => {
    const queue = new BoundedQueue({ capacity: 4, highWatermark: 1 });
    for (const item of [null, 0, '', false]) assert.equal(queue.tryPush(item), true);
    assert.deepEqual(queue.drain(), [null, 0, '', false]);
    assert.throws(() => queue.tryPush(undefined), { name: 'TypeError', message: /undefined cannot be an item/ });
  });
});

describe('onDrop', () => {
  const queueOf = (onDrop) => new BoundedQueue({ capacity: 1, onFull: 'drop_oldest', onDrop });

  it('that throws is told to the pusher, whose item is in', () => {
    const queue = queueOf(() => {
      throw new Error('no room in the log');
    });
    queue.tryPush('a');
    assert.throws(() => queue.tryPush('b'), { message: 'no room in the log' });
    assert.deepEqual([queue.depth, queue.tryPop()], [1, 'b']);
  });

  it('that rejects is said in the log, and does not end the process', async () => {
    const queue = queueOf(async () => {
      throw new Error(`lost ${process.pid}`);
    });
    const warned = once(process, 'warning');
    queue.tryPush('a');
    assert.equal(queue.tryPush('b'), true);
    const [{ name, message }] = await warned;
    assert.deepEqual([name, message], ['TidegateWarning', `onDrop failed: lost ${process.pid}`]);
  });
});

describe('onDrop of a pop', () => {
  const aged = (onDrop, options = {}) => {
    const clock = new ManualClock(0n);
    return [new BoundedQueue({ capacity: 4, highWatermark: 1, maxAgeMs: 10, onDrop, clock, ...options }), clock];
  };

  for (const lanes of [1, 2]) {
    it(`that throws is said in the log, and the pop goes on (lanes: ${lanes})`, async () => {
      const seen = [];
      const [queue, clock] = aged(
        (item, reason) => {
          seen.push([item, reason]);
          throw new Error(`lost ${item} of ${lanes} and ${process.pid}`);
        },
        { lanes },
      );
      const warned = once(process, 'warning');
      queue.tryPush('a');
      queue.tryPush('b');
      clock.advance(11);
      queue.tryPush('c');
      assert.equal(queue.tryPop(), 'c');
      assert.deepEqual(seen, [['a', 'age'], ['b', 'age']]);
      assert.match((await warned)[0].message, /^onDrop failed: lost a/);
      const { pushed, popped, dropped, droppedAge, depth } = queue.stats();
      assert.deepEqual([pushed, popped, dropped, droppedAge, depth], [3, 1, 2, 2, 0]);
    });
  }

  it('may push, pop and close', () => {
    const [queue, clock] = aged((item) => {
      if (item === 'a') queue.tryPush('d');
      else if (item === 'b') assert.equal(queue.tryPop(), 'd');
      else queue.close();
    });
    for (const item of ['a', 'b']) queue.tryPush(item);
    clock.advance(11);
    assert.equal(queue.tryPop(), undefined);
    queue.tryPush('c');
    clock.advance(11);
    assert.equal(queue.tryPop(), undefined);
    assert.equal(queue.isClosed, true);
  });

  it('lets in the pushes that wait for room', async () => {
    const [queue, clock] = aged(undefined, { capacity: 2 });
    queue.tryPush('a');
    queue.tryPush('b');
    const pushed = queue.push('c');
    clock.advance(11);
    assert.equal(await queue.pop(), 'c');
    await pushed;
    assert.deepEqual([queue.depth, queue.stats().droppedAge], [0, 2]);
  });

  it('gets all that a discard finds', () => {
    const seen = [];
    const [queue] = aged((item, reason) => seen.push([item, reason]), { lanes: 2 });
    queue.tryPush('b', { lane: 1 });
    queue.tryPush('a');
    assert.equal(queue.discard(), 2);
    assert.deepEqual(seen, [['a', 'closed'], ['b', 'closed']]);
    assert.equal(queue.discard(), 0);
    assert.equal(queue.tryPush('c'), false);
  });
});

describe('lanes and deadlines', () => {
  it('the most urgent goes first, what is late is dropped', async () => {
    const clock = new ManualClock(0n);
    const seen = [];
    const queue = new BoundedQueue({ capacity: 8, lanes: 3, clock, onDrop: (...drop) => seen.push(drop) });
    queue.tryPush('late', { lane: 0, deadlineMs: 5 });
    queue.tryPush('batch', { lane: 2 });
    await queue.push('live', { lane: 0, deadlineMs: Infinity });
    clock.advance(6);
    assert.deepEqual([queue.tryPop(), queue.tryPop(), queue.tryPop()], ['live', 'batch', undefined]);
    assert.deepEqual(seen, [['late', 'deadline']]);
  });

  it('a deadline of a push that waits counts from the call', async () => {
    const clock = new ManualClock(0n);
    const seen = [];
    const queue = new BoundedQueue({ capacity: 1, clock, onDrop: (...drop) => seen.push(drop) });
    queue.tryPush('a');
    const pushed = queue.push('b', { deadlineMs: 5 });
    clock.advance(6);
    assert.equal(queue.tryPop(), 'a');
    await pushed;
    assert.equal(queue.tryPop(), undefined);
    assert.deepEqual(seen, [['b', 'deadline']]);
  });

  it('says what is wrong', async () => {
    const queue = new BoundedQueue({ capacity: 4, lanes: 2 });
    assert.throws(() => queue.tryPush('a', { lane: 2 }), { name: 'RangeError', message: /^lane must be .* 0 to 1/ });
    assert.throws(() => queue.tryPush('a', { lane: 'high' }), { name: 'TypeError', message: /^lane must be/ });
    assert.throws(() => queue.tryPush('a', { deadlineMs: -1 }), { name: 'RangeError', message: /^deadlineMs must be/ });
    assert.throws(() => queue.tryPush('a', { deadline: 1 }), { message: /no option 'deadline'/ });
    await assert.rejects(queue.push('a', { lane: -1 }), { name: 'RangeError' });
    await assert.rejects(queue.pop({ lane: 0 }), { message: /no option 'lane'/ });
    const made = (options) => () => new BoundedQueue({ capacity: 4, ...options });
    assert.throws(made({ discipline: 'lifo' }), { message: /^discipline: / });
    assert.throws(made({ lanes: 9 }), { message: /^lanes: 9 is not within 1 to 8/ });
    assert.throws(made({ targetMs: 100 }), { message: /^targetMs: 100 ms is not below intervalMs of 100 ms/ });
    assert.throws(made({ maxAgeMs: 0 }), { message: /^maxAgeMs: / });
    assert.equal(queue.depth, 0);
  });

  it('tells how full and how late it is', () => {
    const clock = new ManualClock(0n);
    clock.advance(1000);
    const queue = new BoundedQueue({ capacity: 4, highWatermark: 1, discipline: 'codel', clock });
    for (const item of [1, 2, 3]) queue.tryPush(item);
    assert.deepEqual([queue.fill, queue.leastDelayMs, queue.isOverloaded], [0.75, undefined, false]);
    clock.advance(7);
    queue.tryPop();
    queue.tryPop();
    assert.deepEqual([queue.fill, queue.leastDelayMs, queue.isOverloaded], [0.25, 7, true]);
  });
});

describe('waiting', () => {
  it('hands items to waiting pops in their order', async () => {
    const queue = new BoundedQueue({ capacity: 4 });
    const pops = [queue.pop(), queue.pop()];
    queue.tryPush('a');
    queue.tryPush('b');
    assert.deepEqual(await Promise.all(pops), ['a', 'b']);
    assert.equal(queue.depth, 0);
  });

  it('hands room to waiting pushes in their order', async () => {
    const queue = new BoundedQueue({ capacity: 2, highWatermark: 1, lowWatermark: 0.5 });
    fill(queue, 2);
    const pushes = ['x', 'y'].map((item) => queue.push(item));
    assert.equal(await queue.pop(), 0);
    assert.equal(await queue.pop(), 1);
    await Promise.all(pushes);
    assert.deepEqual(queue.drain(), ['x', 'y']);
  });

  it('times out', async () => {
    const queue = new BoundedQueue({ capacity: 1, highWatermark: 1, retryAfterMs: 250 });
    await assert.rejects(queue.pop({ timeoutMs: 5 }), { name: 'QueueEmptyError', code: 'ERR_TIDEGATE_QUEUE_EMPTY' });
    queue.tryPush('a');
    const full = { name: 'QueueFullError', code: 'ERR_TIDEGATE_QUEUE_FULL', retryAfterMs: 250 };
    full.message = 'queue refused an item with 1 of 1 places taken: try again in 0.25 s';
    await assert.rejects(queue.push('b', { timeoutMs: 5 }), full);
    await assert.rejects(queue.push('b', { timeoutMs: 0 }), full);
    assert.deepEqual(queue.drain(), ['a']);
  });

  it('ends on abort and takes nothing with it', async () => {
    const queue = new BoundedQueue({ capacity: 1, highWatermark: 1 });
    const reason = new Error('shutting down');
    const controller = new AbortController();
    const pop = queue.pop({ signal: controller.signal });
    const other = queue.pop();
    controller.abort(reason);
    await assert.rejects(pop, (error) => error === reason);
    queue.tryPush('a');
    assert.equal(await other, 'a');
    queue.tryPush('b');
    const again = new AbortController();
    const push = queue.push('c', { signal: again.signal });
    again.abort(reason);
    await assert.rejects(push, (error) => error === reason);
    assert.equal(await queue.pop(), 'b');
    assert.equal(queue.depth, 0);
    await assert.rejects(queue.push('d', { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });

  it('ends when the queue closes', async () => {
    const empty = new BoundedQueue({ capacity: 1, highWatermark: 1 });
    const pop = empty.pop();
    empty.close();
    await assert.rejects(pop, QueueClosedError);
    const full = new BoundedQueue({ capacity: 1, highWatermark: 1 });
    full.tryPush('a');
    const push = full.push('b');
    assert.deepEqual(full.drain(), ['a']);
    await assert.rejects(push, QueueClosedError);
  });

  it('counts a push as one rejection once it is refused, however often it looked', async () => {
    const queue = new BoundedQueue({ capacity: 2, highWatermark: 1, lowWatermark: 0.5 });
    const rejected = () => queue.stats().rejected;
    fill(queue, 2);
    const waits = [queue.push('x'), queue.push('y')];
    const aborted = new AbortController();
    const leaves = queue.push('z', { signal: aborted.signal });
    assert.equal(rejected(), 0, 'they wait');
    await queue.pop();
    assert.equal(rejected(), 0, 'still no room for all');
    await queue.pop();
    await Promise.all(waits);
    aborted.abort(new Error('gone'));
    await assert.rejects(leaves, { message: 'gone' });
    assert.equal(rejected(), 0, 'nobody was refused');
    for (const timeoutMs of [0, 5]) await assert.rejects(queue.push('z', { timeoutMs }), { name: 'QueueFullError' });
    assert.equal(rejected(), 2);
    const dismissed = [queue.push('a'), queue.push('b')].map((push) => assert.rejects(push, QueueClosedError));
    queue.close();
    await Promise.all(dismissed);
    await assert.rejects(queue.push('c'), QueueClosedError);
    assert.equal(rejected(), 5);
    assert.deepEqual([queue.stats().pushed, queue.stats().popped, queue.depth], [4, 2, 2]);
  });

  it('is an async iterable that ends with the queue', async () => {
    const queue = new BoundedQueue({ capacity: 100 });
    const workers = [0, 1, 2].map(async () => {
      const seen = [];
      for await (const item of queue) seen.push(item);
      return seen;
    });
    for (let i = 0; i < 500; i += 1) await queue.push(i);
    queue.close();
    const seen = (await Promise.all(workers)).flat();
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 500 }, (_, i) => i));
  });
});
