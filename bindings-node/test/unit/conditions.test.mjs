// What conditions of a request say: only `true` is yes, and what is merely truthy is a mistake, never "no limit".
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { TokenBucket } from '../../index.mjs';
import { rateLimit } from '../../express/index.mjs';

const NOTHING = [false, undefined, null];
const RUBBISH = ['no', '', 0, 1, {}, Number.NaN, Symbol('yes'), () => true];
const forms = { sync: (value) => () => value, async: (value) => async () => value };

/** The statuses of three requests, and what `next` was told of errors. */
async function asked(t, options) {
  const errors = [];
  const limit = rateLimit(options);
  const server = createServer((request, response) =>
    limit(request, response, (error) => {
      if (error !== undefined) errors.push(error.message);
      response.statusCode = error === undefined ? 200 : 500;
      response.end();
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}`;
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await fetch(url, { headers: { connection: 'close' } })).status);
  return { statuses, errors };
}

for (const [form, give] of Object.entries(forms)) {
  describe(`a condition that is ${form}`, () => {
    const rates = { 'a limit': (bucket) => bucket, 'a limit that a function gives': () => () => '2/hour' };
    for (const [what, rate] of Object.entries(rates)) {
      it(`skip of ${what}`, async (t) => {
        const all = async (value) => {
          const bucket = new TokenBucket({ rate: '2/hour' });
          const answers = await asked(t, { rate: rate(bucket), skip: give(value) });
          return { ...answers, taken: 2 - bucket.peek().remaining };
        };
        assert.deepEqual(await all(true), { statuses: [200, 200, 200], errors: [], taken: 0 });
        for (const value of NOTHING) {
          const { statuses, errors } = await all(value);
          assert.deepEqual([statuses, errors], [[200, 200, 429], []]);
        }
        for (const value of RUBBISH) {
          const { statuses, errors, taken } = await all(value);
          assert.deepEqual([statuses, taken], [[500, 500, 500], 0], String(value));
          assert.match(errors[2], /^skip must give true or false, got /);
        }
      });
    }

    it('refundOn: rubbish keeps the charge', async (t) => {
      const said = [];
      t.mock.method(process, 'emitWarning', (message) => said.push(String(message)));
      const saidOf = async (value) => {
        said.length = 0;
        const bucket = new TokenBucket({ rate: '9/hour' });
        const { statuses } = await asked(t, { rate: bucket, refundOn: give(value) });
        await new Promise(setImmediate);
        return [statuses.every((status) => status === 200), bucket.peek().remaining];
      };
      assert.deepEqual(await saidOf(true), [true, 9]);
      for (const value of NOTHING) assert.deepEqual([await saidOf(value), said], [[true, 6], []]);
      for (const value of RUBBISH) assert.deepEqual(await saidOf(value), [true, 6], String(value));
    });
  });
}
