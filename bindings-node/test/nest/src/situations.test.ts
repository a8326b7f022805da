// The situations that every framework must answer alike (tests/vectors/http_situations.json), over real HTTP.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { request as ask } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { RateLimiter } from 'tidegate';
import { FULL } from './full.js';
import { gateOf } from './gates.js';
import { SERVERS } from './servers.js';

/** Up from target/node-apps/<app>, where the tests run. */
const FILE = join(process.cwd(), '../../../tests/vectors/http_situations.json');
const { cases } = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : { cases: [] };

const key = (text?: string): any => (text?.startsWith('constant:') ? () => text.slice('constant:'.length) : text);

/** What a header says. */
const said = (text: string) => (request: any) => request.headers[text.slice('header:'.length)];

/** A text, or a function that gives a header. */
const textOrSaid = (text?: string): any => (text?.startsWith('header:') ? said(text) : text);

/** What an error says after the argument's name. */
const WRONG: Record<string, string> = {
  priority: '.urgent. is none of .*',
  dependencies: '.paiment. is none; the gate has payment',
  cost: '.*from 1 to 3, got 4',
  partition: '"urgent" is none of "live", "batch"',
};

const PROBLEMS: Record<string, string> = {
  quota_exceeded: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
  temporary_reduced_capacity: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
  forbidden: 'about:blank',
  timeout: 'about:blank',
};

/** A limit of a case, as our options. */
function optionsOf({ rate, keyed, algorithm, ...rest }: any) {
  const made = keyed ? new RateLimiter({ rate, algorithm }) : rate.startsWith('header:') ? said(rate) : rate;
  if (typeof rest.cost === 'string') {
    const asked = said(rest.cost);
    rest.cost = (request: any) => Number(asked(request));
  }
  return { rate: made, ...rest, ...(rest.key === undefined ? {} : { key: key(rest.key) }) };
}

const answer = (port: number, { method, path, headers, remote }: any) =>
  new Promise<any>((resolve, reject) => {
    ask({ port, host: '127.0.0.1', localAddress: remote, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data) => (text += data));
      response.on('end', () => resolve({ statusCode: response.statusCode, headers: response.headers, text }));
    })
      .on('error', reject)
      .end();
  });

for (const [name, serve] of Object.entries(SERVERS)) {
  describe(`situations over ${name}`, () => {
    it('there are some', () => assert.ok(cases.length > 10));
    for (const { name: what, config, asks, error } of cases) {
      it(what, async (t) => {
        if (error !== undefined) {
          // Nest and Fastify say where it stands as well.
          const message = new RegExp(`(^|[a-z] on [A-Za-z.]+: )${error}:? ${WRONG[error]}$`);
          const at = await FULL[config.full]?.(t, config);
          const gated = config.gate && (await gateOf(t, config.gate));
          return assert.rejects(async () => serve(t, (config.limits ?? []).map(optionsOf), at, gated), { message });
        }
        const gated = config.gate && (await gateOf(t, config.gate));
        const own = { priority: textOrSaid(config.priority), partition: textOrSaid(config.partition) };
        const entrance = await FULL[config.full]?.(t, { ...config, ...own });
        const port = await serve(t, (config.limits ?? []).map(optionsOf), entrance, gated, config);
        for (const [index, expected] of asks.entries()) {
          const { statusCode, headers, text } = await answer(port, expected);
          const state = headers.ratelimit?.replace(/;t=\d+/g, '') ?? null;
          const policy = headers['ratelimit-policy'] ?? null;
          // A fault after the limits have spoken: a framework may keep what they said, or not.
          const isSaid = expected.policy !== undefined;
          assert.deepEqual(
            isSaid ? [statusCode, policy, state] : [statusCode],
            isSaid ? [expected.status, expected.policy, expected.state] : [expected.status],
            `ask ${index}`,
          );
          if (expected.denied_by !== undefined && expected.method !== 'HEAD') {
            const problem = JSON.parse(text);
            const told = [problem.type, problem.status, problem['violated-policies']];
            assert.deepEqual(told, [PROBLEMS[expected.problem], expected.status, [expected.denied_by]], `ask ${index}`);
          }
          const wait = headers['retry-after'];
          if (expected.retry_after === null) assert.equal(wait, undefined);
          else
            assert.ok(
              expected.retry_after[0] <= Number(wait) && Number(wait) <= expected.retry_after[1],
              `ask ${index}: ${wait}`,
            );
        }
      });
    }
  });
}
