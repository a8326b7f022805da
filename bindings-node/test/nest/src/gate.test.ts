// A gate before every framework: functions that fail, clients that go, what handlers get, mistakes at the start.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { HttpException } from '@nestjs/common';
import {
  type Admission,
  CircuitBreaker,
  ConcurrencyLimiter,
  Gate,
  LoadShedder,
  ManualClock,
  RateLimiter,
  TokenBucket,
} from 'tidegate';
import './alone.js';
import { requester, statuses } from './request.js';
import { type Gated, SERVERS, type Serve } from './servers.js';

const until = async (holds: () => boolean) => {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within half a minute: ${holds}`);
    await setImmediate();
  }
};

/** A gate with one permit, and a limit for each client and for everybody. */
function parts(options = {}) {
  const client = new RateLimiter({ rate: '9/hour' });
  const everyone = new TokenBucket({ rate: '99/hour' });
  const database = new ConcurrencyLimiter({ limit: 1 });
  const payment = new CircuitBreaker('payment', { consecutiveFailures: 1 });
  const shedder = new LoadShedder({ signals: [{ kind: 'gauge', name: 'load', start: 0, full: 1 }] });
  const gate = new Gate('orders', {
    limits: { client, everyone },
    concurrency: { database },
    dependencies: { payment },
    shedder: { main: shedder },
    ...options,
  });
  const left = () => everyone.peek().remaining;
  return { gate, client, everyone, database, payment, left };
}

const start = async (t: TestContext, serve: Serve, gated: Gated, limits: any[] = []) => {
  const port = await serve(t, limits, undefined, gated);
  return { port, request: requester(`http://127.0.0.1:${port}`) };
};

/** What a function may do instead of its work, and what it may give that is none of what it may. */
const FAILS: Record<string, (...given: any[]) => any> = {
  'throws an error': () => {
    throw new Error('fails');
  },
  'throws what is none': () => {
    throw undefined;
  },
  rejects: async () => {
    throw new Error('fails');
  },
  'rejects with nothing': () => Promise.reject(),
  'gives rubbish': () => ({ id: 1 }),
  'gives rubbish later': async () => Symbol('rubbish'),
};
const OPTIONS = ['key', 'priority', 'cost', 'dependencies', 'deadline', 'user'];

for (const [framework, serve] of Object.entries(SERVERS)) {
  describe(`a gate over ${framework}`, () => {
    it('takes nothing where a function fails, which is one error', async (t) => {
      for (const option of OPTIONS) {
        for (const [how, fail] of Object.entries(FAILS)) {
          const { gate, database, left } = parts();
          let calls = 0;
          const asked = (...given: any[]) => ((calls += 1), fail(...given));
          const asking = { [option]: option === 'key' ? { client: asked } : asked };
          let served = 0;
          const { request } = await start(t, serve, { gate, asking, handle: () => void (served += 1) });
          const { status } = await request('/');
          const { admitted, denied } = gate.stats();
          const seen = { status, calls, served, admitted, denied, inUse: database.inUse, left: left() };
          const wanted = { status: 500, calls: 1, served: 0, admitted: 0, denied: 0, inUse: 0, left: 99 };
          assert.deepEqual(seen, wanted, `${option} ${how}`);
        }
      }
    });

    it('is not asked for a client who went while a function was', async (t) => {
      const { gate, database, left } = parts();
      let answer = (_name: string) => {};
      let served = 0;
      const client = (asked: any) =>
        asked.url === '/' ? new Promise<string>((resolve) => (answer = resolve)) : 'others';
      const asking = { key: { client } };
      const { port, request } = await start(t, serve, { gate, asking, handle: () => void (served += 1) });
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
      const given = answer;
      await until(() => answer !== given);
      // Who hangs holds up nobody.
      assert.equal((await request('/?others')).status, 200);
      socket.destroy();
      await setTimeout(50);
      answer('ann');
      await setTimeout(50);
      assert.deepEqual([served, gate.stats().admitted, database.inUse, left()], [1, 1, 0, 98]);
    });

    it('gives handlers what it said, and the permits of its circuits back', async (t) => {
      const clock = new ManualClock();
      const payment = new CircuitBreaker('payment', { consecutiveFailures: 1, cooldownMs: 1000, clock });
      const { gate } = parts({ dependencies: { payment } });
      payment.acquire().failure();
      clock.advance(1000);
      const seen: any[] = [];
      const handle = (admission?: Admission) => {
        // The one probe, of which nothing is reported.
        admission?.breaker('payment');
        seen.push([admission?.allowed, admission?.gate.name, admission?.remaining]);
      };
      const { request } = await start(t, serve, { gate, asking: { dependencies: ['payment'] }, handle });
      assert.deepEqual(await statuses(request, '/', 2), [200, 200]);
      assert.equal((await request('/healthz')).status, 200);
      assert.deepEqual(seen, [
        [true, 'orders', 8],
        [true, 'orders', 7],
        [undefined, undefined, undefined],
      ]);
      assert.equal(payment.state, 'half_open');
    });

    it('gets everything back once when a client goes, at the latest when nobody answers', async (t) => {
      const { gate, database, left } = parts({ refundOn: ['cancelled'] });
      const admissions: Admission[] = [];
      const handle = (admission?: Admission) => {
        admissions.push(admission!);
        return new Promise(() => {});
      };
      const { port } = await start(t, serve, { gate, handle });
      for (const end of ['destroy', 'resetAndDestroy'] as const) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
        await until(() => database.inUse === 1);
        assert.equal(left(), 98);
        socket[end]();
        await until(() => database.inUse === 0);
        assert.equal(left(), 99);
      }
      assert.deepEqual(
        admissions.map((admission) => admission.finish('failure')),
        [false, false],
      );
      assert.deepEqual([database.inUse, left()], [0, 99]);
    });

    it('is asked after the limits, and what it refuses they give back', async (t) => {
      const { gate, everyone, database, left } = parts();
      const bucket = new TokenBucket({ rate: '5/hour' });
      const { request } = await start(t, serve, { gate }, [{ rate: bucket, name: 'all' }]);
      const answer = await request('/');
      const fields = (of: typeof answer) => of.get('ratelimit')?.replace(/;t=\d+/g, '');
      assert.deepEqual([answer.status, fields(answer)], [200, '"all";r=4, "client";r=8, "everyone";r=98']);
      const permit = database.tryAcquire();
      const full = await request('/');
      assert.deepEqual([full.status, fields(full)], [503, '"all";r=4, "client";r=8, "everyone";r=98']);
      permit?.release();
      everyone.tryAcquire(98);
      const limited = await request('/');
      assert.deepEqual([limited.status, limited.json()['violated-policies']], [429, ['everyone']]);
      assert.deepEqual([fields(limited), bucket.peek().remaining], ['"all";r=4, "client";r=8, "everyone";r=0', 4]);
      assert.equal(left(), 0);
    });

    it('waits where a leaky bucket paces', async (t) => {
      const gate = new Gate('paced', {
        limits: { client: new RateLimiter({ rate: '20/s', queue: 9, algorithm: 'leaky_bucket' }) },
      });
      const { request } = await start(t, serve, { gate });
      const began = performance.now();
      assert.deepEqual(await statuses(request, '/', 3), [200, 200, 200]);
      assert.ok(performance.now() - began >= 60, 'two of them waited');
    });

    it('is told by user, in one spelling of a route', async (t) => {
      const { gate, left } = parts();
      const users: unknown[] = [];
      const asking = {
        key: 'header:x-user',
        user: (asked: any) => (users.push(asked.headers['x-user']), asked.headers['x-user']),
        cost: { 'GET /': 3, '* /*': 2 },
        dependencies: () => ['payment'],
        deadline: () => 1000,
      };
      const { request } = await start(t, serve, { gate, asking });
      const ann = { 'x-user': 'ann' };
      assert.equal(
        (await request('/?a=1', 'GET', ann)).get('ratelimit')?.replace(/;t=\d+/g, ''),
        '"client";r=6, "everyone";r=96',
      );
      assert.equal((await request('/', 'POST', ann)).status, 200);
      assert.deepEqual([users, left()], [['ann', 'ann'], 94]);
    });

    it('counts under load what clients count, and is empty after it', async (t) => {
      const { gate, database } = parts({ limits: { everyone: new TokenBucket({ rate: '120/hour' }) } });
      const handle = async () => void (await setTimeout(1));
      const { port } = await start(t, serve, { gate, handle });
      const seen: Record<number, number> = {};
      let broken = 0;
      const ask = () =>
        new Promise<void>((resolve) => {
          const asked = get({ port, host: '127.0.0.1', agent }, (response) => {
            seen[response.statusCode!] = (seen[response.statusCode!] ?? 0) + 1;
            response.resume().on('close', resolve);
          });
          asked.on('error', () => ((broken += 1), resolve()));
        });
      const agent = new Agent({ keepAlive: true, maxSockets: 8 });
      t.after(() => agent.destroy());
      await Promise.all(Array.from({ length: 400 }, ask));
      const { admitted, denied, deniedBy } = gate.stats();
      const counted = [admitted, deniedBy.limit, deniedBy.concurrency, denied];
      const [served = 0, limited = 0, full = 0] = [seen[200], seen[429], seen[503]];
      assert.deepEqual([broken, ...counted], [0, served, limited, full, limited + full]);
      assert.ok(served > 0 && served <= 120 && served + denied === 400);
      await until(() => database.inUse === 0);
    });

    it('says what is wrong at the start', async (t) => {
      const { gate } = parts();
      const wrong: [any, RegExp][] = [
        [{ keys: {} }, /has no option 'keys'; it takes .*key, priority, cost/],
        [{ key: { ann: 'ip' } }, /key has no option 'ann'; it takes client/],
        [{ key: 'address' }, /key must be a function, 'ip', 'user', 'route' or 'header:<name>', got 'address'/],
        [{ priority: 'urgent' }, /priority: 'urgent' is none of/],
        [{ priority: { orders: 'high' } }, /priority: 'orders' is no route; write 'POST \/orders'/],
        [{ cost: 0 }, /cost .*must be a whole number from 1 to 9, got 0/],
        [{ cost: { 'GET /': 10 } }, /cost .*from 1 to 9, got 10/],
        [{ dependencies: 'payment' }, /dependencies must be an array of names/],
        [{ dependencies: { 'POST /': ['mail'] } }, /dependencies: 'mail' is none; the gate has payment/],
        [{ deadline: 50 }, /deadline must be true, false, \{ names, maxMs \} or a function/],
        [{ deadline: { header: 'x' } }, /deadline has no option 'header'/],
        [{ user: 'ann' }, /user must be a function/],
      ];
      for (const [asking, message] of wrong)
        await assert.rejects(async () => serve(t, [], undefined, { gate, asking }), { message });
      const none: any = { gate: { name: 'orders' } };
      await assert.rejects(async () => serve(t, [], undefined, none), /must be a Gate, got|has no option 'name'/);
      const keyless = new Gate('keyless', { limits: { everyone: new TokenBucket({ rate: '1/s' }) } });
      const keyed = { gate: keyless, asking: { key: 'ip' } };
      await assert.rejects(
        async () => serve(t, [], undefined, keyed),
        /key: no limit of the gate 'keyless' is one per key/,
      );
    });
  });
}

for (const framework of ['nest on express', 'nest on fastify'] as const) {
  describe(`an exception of ${framework}`, () => {
    it('says to a gate that it ends what its answer would say', async (t) => {
      for (const [status, expected] of [
        [404, 'success'],
        [429, 'failure'],
        [500, 'failure'],
        [503, 'dropped'],
      ] as const) {
        const fail = () => {
          throw new HttpException('it', status);
        };
        for (const outcome of ['success', 'failure', 'dropped', 'cancelled'] as const) {
          const charged = outcome === expected ? 99 : 98;
          const answered = parts({ refundOn: [outcome] });
          const { request } = await start(t, SERVERS[framework]!, { gate: answered.gate, handle: fail });
          assert.equal((await request('/')).status, status);
          await until(() => answered.database.inUse === 0);
          const called = parts({ refundOn: [outcome] });
          await assert.rejects(called.gate.call(async () => fail(), { keys: { client: 'ann' } }), { status });
          assert.deepEqual([answered.left(), called.left()], [charged, charged], `${status} ${outcome}`);
        }
      }
    });
  });
}
