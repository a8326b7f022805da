// The examples, against real servers that fail as real ones do: nothing lost, nothing paid twice, everything undone.
import assert from 'node:assert/strict';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import type { BoundedQueue, CircuitBreaker } from 'tidegate';
import { TidegateModule, getBoundedQueueToken, getBreakerToken } from 'tidegate/nest';
import { ADAPTERS, type Adapter, start } from './app.js';
import { PROVIDERS, Payments, PaymentsController } from './examples/payments.js';
import { Inventory, Orders, OrdersController, SERVICES } from './examples/saga.js';

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(t: TestContext, handle: Handle): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => handle(request, response, body));
  });
  t.after(() => (server.close(), server.closeAllConnections()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const post = async (url: string, body: unknown) => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, body: (await answer.json()) as any };
};

const until = async (done: () => boolean) => {
  const give = performance.now() + 60_000;
  while (!done()) {
    assert.ok(performance.now() < give, 'it did not come');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** What a provider does: as it should, nothing, something unknown, or no answer although the money is taken. */
type Mode = 'well' | 'down' | 'broken' | 'reset' | 'hang';

/** A provider that charges once for each key, whatever it then answers. */
async function provider(t: TestContext) {
  const charged = new Map<string, number>();
  const it: { mode: Mode; charged: Map<string, number>; url: string; asked: number } = {
    mode: 'well',
    charged,
    url: '',
    asked: 0,
  };
  it.url = await serve(t, (request, response, body) => {
    it.asked += 1;
    const key = String(request.headers['idempotency-key']);
    if (it.mode === 'down') return void response.writeHead(503).end('{}');
    if (it.mode === 'broken') return void response.writeHead(500).end('{}');
    if (!charged.has(key)) charged.set(key, JSON.parse(body).cents);
    if (it.mode === 'reset') return void request.socket.destroy();
    if (it.mode === 'hang') return;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  return it;
}

for (const adapter of Object.keys(ADAPTERS) as Adapter[]) {
  describe(`the payment service on ${adapter}`, { timeout: 120_000 }, () => {
    it('loses no order and pays none twice', async (t) => {
      const [first, second] = [await provider(t), await provider(t)];
      const settings = { consecutiveFailures: 5, cooldownMs: 100 };
      const { app, url } = await start(
        adapter,
        [
          TidegateModule.forRoot({
            breakers: { first: settings, second: settings },
            queues: { waiting: { capacity: 16, highWatermark: 1 } },
          }),
        ],
        [PaymentsController],
        [Payments, { provide: PROVIDERS, useValue: [first.url, second.url] }],
      );
      const answers = new Map<string, { status: number; body: any }>();
      const order = async (id: string) => void answers.set(id, await post(`${url}/payments`, { id, cents: 100 }));
      let nth = 0;
      const orders = async (count: number, modes: [Mode, Mode]) => {
        [first.mode, second.mode] = modes;
        const ids = Array.from({ length: count }, () => `order-${(nth += 1)}`);
        await Promise.all(ids.map(order));
        return ids.map((id) => answers.get(id)!);
      };
      const by = (some: { body: any }[]) => new Set(some.map(({ body }) => body.by));

      const circuit: CircuitBreaker = app.get(getBreakerToken('first'));
      const waiting: BoundedQueue = app.get(getBoundedQueueToken('waiting'));
      // On a busy machine any order may run out of time, and waits then: so what is asked here is what is never.
      try {
        assert.ok(!by(await orders(10, ['well', 'well'])).has('second'));
        // It says that it did nothing: the other is asked, and once its circuit is open it is not even asked.
        for (let i = 0; i < 2; i += 1) assert.ok(!by(await orders(10, ['down', 'well'])).has('first'));
        assert.ok(circuit.stats().rejected > 0);
        await until(() => circuit.retryAfterMs === 0);
        await orders(3, ['well', 'well']);
        // The money is taken and no answer comes: nobody else may be asked.
        assert.ok(!by(await orders(4, ['reset', 'well'])).has('first'));
        await orders(2, ['hang', 'down']);
        await orders(4, ['broken', 'down']);
        const down = await orders(4, ['down', 'down']);
        assert.deepEqual(new Set(down.map(({ status }) => status)), new Set([202]));
        [first.mode, second.mode] = ['well', 'well'];
        await until(() => waiting.depth === 0 && first.charged.size + second.charged.size >= nth);
      } finally {
        // What waits is paid before it ends.
        [first.mode, second.mode] = ['well', 'well'];
        await app.close();
      }
      assert.equal(answers.size, nth);
      for (const [id, { status }] of answers) {
        assert.ok(status === 200 || status === 202, `${id}: ${status}`);
        const times = [first, second].filter(({ charged }) => charged.has(id)).length;
        assert.equal(times, 1, `${id} was paid ${times} times`);
      }
      assert.equal(first.charged.size + second.charged.size, nth);
    });
  });

  describe(`the saga on ${adapter}`, { timeout: 120_000 }, () => {
    it('returns the money of what cannot be had', async (t) => {
      const money = { taken: new Set<string>(), returned: new Set<string>(), mode: 'well' };
      const payment = await serve(t, (request, response) => {
        const id = request.url!.split('/').at(-1)!;
        if (money.mode === 'down') return void response.writeHead(503).end();
        if (request.method === 'PUT') money.taken.add(id);
        else if (money.taken.has(id)) money.returned.add(id);
        if (money.mode === 'reset') return void request.socket.destroy();
        response.end();
      });
      const goods = { reserved: new Set<string>(), asked: 0, mode: 'well' };
      const inventory = await serve(t, (request, response, item) => {
        goods.asked += 1;
        if (goods.mode === 'down') return void response.writeHead(500).end();
        if (item === 'unicorn') return void response.writeHead(409).end();
        goods.reserved.add(request.url!.split('/').at(-1)!);
        response.end();
      });
      const { app, url } = await start(
        adapter,
        [
          TidegateModule.forRoot({
            breakers: {
              payment: { consecutiveFailures: 20, cooldownMs: 50 },
              inventory: { consecutiveFailures: 2, cooldownMs: 60_000 },
            },
            queues: { refunds: { capacity: 100 } },
          }),
        ],
        [OrdersController],
        [Inventory, Orders, { provide: SERVICES, useValue: { payment, inventory } }],
      );
      const place = async (id: string, item = 'book') => (await post(`${url}/orders`, { id, item })).status;

      try {
        assert.equal(await place('a'), 201);
        assert.equal(await place('b', 'unicorn'), 409);
        assert.deepEqual([...money.returned], ['b']);
        goods.mode = 'down';
        assert.deepEqual([await place('c'), await place('d')], [500, 500]);
        const circuit: CircuitBreaker = app.get(getBreakerToken('inventory'));
        assert.deepEqual([circuit.state, goods.asked], ['open', 4]);
        // It is open after the payment: refused at once, and the money goes back.
        assert.equal(await place('e'), 503);
        assert.equal(goods.asked, 4);
        assert.deepEqual([...money.returned], ['b', 'c', 'd', 'e']);
        // The money may be taken and nobody says so; the refund has no answer either, until payment is well again.
        money.mode = 'reset';
        assert.equal(await place('f'), 503);
        money.mode = 'down';
        assert.equal(await place('g'), 503);
        money.mode = 'well';
        const refunds: BoundedQueue = app.get(getBoundedQueueToken('refunds'));
        await until(() => refunds.depth === 0 && money.returned.has('f'));
      } finally {
        money.mode = 'well';
        await app.close();
      }
      assert.deepEqual([...goods.reserved], ['a']);
      assert.deepEqual(
        [...money.taken].filter((id) => !money.returned.has(id)),
        ['a'],
      );
    });
  });
}
