// Three services in a row that try three times each, over real HTTP, while the last of them refuses all.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RetryBudget } from 'tidegate';
import { CLIENTS, quick, serve } from './web.mjs';

const CALLS = 20;

for (const [name, { make }] of Object.entries(CLIENTS)) {
  describe(`three layers that retry, by ${name}`, () => {
    /** How often the innermost was asked. */
    async function asked(t, calls, isPaid) {
      const layer = async (then) => {
        const server = await serve(t, async (_request, response) => {
          await then?.();
          response.writeHead(503).end('no');
        });
        const budget = isPaid ? new RetryBudget({ ratio: 0.2, minPerSecond: 0 }) : undefined;
        const ask = make(t, { retry: quick({ attempts: 3, maxDelayMs: 2, budget }) });
        const call = async () => {
          const { status, read } = await ask(server.url);
          assert.deepEqual([status, await read()], [503, 'no']);
        };
        return { server, call };
      };
      const last = await layer();
      const middle = await layer(last.call);
      const first = await layer(middle.call);
      for (let n = 0; n < calls; n++) await first.call();
      return last.server.asked.length;
    }

    it('make 27 of each call', async (t) => assert.equal(await asked(t, 5, false), 27 * 5));

    it('make at most 1.2³ of each with budgets, and what each has saved up', async (t) => {
      let most = CALLS;
      // A fifth more at each layer, and one retry.
      for (let n = 0; n < 3; n++) most = most * 1.2 + 1;
      const times = await asked(t, CALLS, true);
      assert.ok(CALLS <= times && times <= most, `${times} times`);
      assert.ok(times > CALLS, 'some are retried');
    });
  });
}
