// Policy files: what every language reads of them and what they say is wrong; objects, scopes, mistakes.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ManualClock, Policy, PolicyError, RateLimiter, TidegateError, TokenBucket } from 'tidegate';
import { admit } from 'tidegate/express';

const POLICIES = fileURLToPath(new URL('../../../tests/policies/', import.meta.url));

const ORDERS = `
version = 1
[limits]
everyone = { rate = "400/s", burst = 800, warm_up = "1ms" }
client.rate = "2/minute"
client.key = "first_of(user, client_ip)"
client.fastest = "60/s"
client.tiers = { pro = "60/minute", max = { rate = "60/minute", burst = 90 } }
[concurrency]
database = { limit = 10, partitions = { live = 0.9, batch = 0.1 } }
[queues]
orders = { capacity = 5000, discipline = "codel" }
[shedders]
main.signals.queue_fill = { queue = "orders" }
main.signals.in_flight = { concurrency = "database" }
main.signals.loop_lag = ["20ms", "200ms"]
[breakers]
payment = { consecutive_failures = 1, cooldown = "30s" }
[gates.orders]
use.limits = ["client", "everyone"]
use.dependencies = ["payment"]
use.shedder = "main"
use.concurrency = "database"
use.queue = "orders"
refund_on = ["failure"]
`;

/** The files of a folder with what is expected of each. */
function files(kind) {
  const names = readdirSync(join(POLICIES, kind)).filter((name) => name.endsWith('.toml'));
  assert.ok(names.length >= 200);
  return names.map((name) => {
    const path = join(POLICIES, kind, name);
    return { path, expected: JSON.parse(readFileSync(path.replace(/toml$/, 'json'), 'utf8')) };
  });
}

/** With the environment that the file's first line gives. */
function loaded(path, scope) {
  const first = readFileSync(path, 'utf8').split('\n', 1)[0];
  const said = first.startsWith('# env: ') ? first.slice('# env: '.length).split('; ') : [];
  const pairs = said.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  if (scope !== undefined) pairs.push(['TIDEGATE_SCOPE', scope]);
  for (const [name, value] of pairs) process.env[name] = value;
  try {
    return Policy.load(path);
  } finally {
    for (const [name] of pairs) delete process.env[name];
  }
}

const GETS = { limits: 'limit', concurrency: 'concurrency', queues: 'queue', shedders: 'shedder', breakers: 'breaker' };

describe('policy files', () => {
  it('are read as every language reads them', () => {
    for (const { path, expected } of files('valid')) {
      const policy = loaded(path);
      for (const section of [...Object.keys(GETS), 'gates']) {
        assert.deepEqual(policy.names(section), Object.keys(expected[section] ?? {}), path);
      }
      assert.equal(Policy.parse(policy.text).hash, policy.hash, path);
    }
  });

  it('become objects, each made once', () => {
    for (const { path } of files('valid')) {
      const policy = loaded(path, 'process');
      for (const [section, get] of Object.entries({ ...GETS, gates: 'gate' })) {
        for (const name of policy.names(section)) assert.equal(policy[get](name), policy[get](name), path);
      }
    }
  });

  it('are told all that is broken', () => {
    for (const { path, expected } of files('broken')) {
      assert.throws(
        () => loaded(path),
        (error) => {
          assert.ok(error instanceof PolicyError && error instanceof TidegateError);
          assert.equal(error.code, 'ERR_TIDEGATE_POLICY');
          const problems = expected.map(({ hint, ...rest }) => ({ ...rest, hint: hint ?? undefined }));
          assert.deepEqual(error.problems, problems, basename(path));
          const [{ line, column }] = problems;
          assert.ok(error.message.startsWith(`${path}:${line}:${column}: `), error.message);
          return true;
        },
      );
    }
  });

  it('have the range of every setting, and the classes take its ends', () => {
    const cases = JSON.parse(readFileSync(join(POLICIES, 'settings.json'), 'utf8'));
    let made = 0;
    for (const { text, config, problems } of cases) {
      if (problems !== undefined) {
        const told = problems.map(({ hint, ...rest }) => ({ ...rest, hint: hint ?? undefined }));
        assert.throws(() => Policy.parse(text), { name: 'PolicyError', problems: told }, text);
      } else if (!/max_keys|capacity = 16777216|18446744073709551615ns/.test(text)) {
        // A hundred million keys are a matter of memory; and a number of ms has no 2^64 - 1 ns.
        const [section] = Object.keys(config);
        Policy.parse(text)[GETS[section]]('it');
        made += 1;
      }
    }
    assert.ok(cases.length > 400 && made > 80);
  });
});

describe('a policy', () => {
  it('has one gate of all parts', () => {
    const policy = Policy.parse(ORDERS, { clock: new ManualClock() });
    const [gate, payment] = [policy.gate('orders'), policy.breaker('payment')];
    assert.equal(gate.dependencies.payment, payment);
    assert.equal(gate.queue, policy.queue('orders'));
    assert.equal(gate.concurrency, policy.concurrency('database'));
    assert.equal(gate.shedder, policy.shedder('main'));
    const asked = { keys: { client: 'ann' }, dependencies: ['payment'], partition: 'live' };
    const admission = gate.enter(asked);
    admission.breaker('payment').failure();
    admission.finish();
    assert.equal(gate.admit(asked).deniedBy, 'payment');
    assert.ok(gate.admit({ keys: { client: 'ann' } }).allowed);
    assert.equal(gate.admit({ keys: { client: 'ann' } }).deniedBy, 'client');
    assert.ok(policy.limit('client') instanceof RateLimiter && policy.limit('everyone') instanceof TokenBucket);
    assert.equal(policy.limit('client').check('ben', 1, policy.tier('client', 'max')).limit, 90);
    assert.ok(policy.limit('client').check('cay', 50, policy.tier('client', 'pro')).allowed);
    assert.equal(policy.scope, 'process');
    assert.match(policy.hash, /^[0-9a-f]{16}$/);
  });

  it('tells names that are none', () => {
    const policy = Policy.parse(ORDERS);
    const error = (message) => ({ name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE', message });
    assert.throws(() => policy.breaker('paymet'), error(/'?"?paymet"?'? is none of \[breakers\]; there are payment/));
    assert.throws(() => Policy.parse('version = 1').gate('x'), error(/the policy has no \[gates\]/));
    assert.throws(() => policy.tier('client', 'free'), error(/is none of \[limits.client.tiers\]/));
    assert.throws(() => policy.limit('toString'), error(/is none of \[limits\]/));
    assert.throws(() => policy.names('gate'), error(/is none of limits/));
    assert.throws(() => policy.gate(5), { name: 'TypeError' });
    assert.throws(() => Policy.load(5), { name: 'TypeError' });
    assert.throws(() => Policy.load('x', { clok: 1 }), error(/no option 'clok'/));
    assert.throws(() => new Policy([], undefined), { name: 'TypeError' });
  });

  it('is an error where the file is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidegate-policy-'));
    try {
      const none = join(folder, 'none.toml');
      assert.throws(
        () => Policy.load(none),
        ({ problems, message }) => message.startsWith(`${none}: cannot be read: `) && problems[0].line === 0,
      );
      writeFileSync(join(folder, 'latin.toml'), Buffer.from('version = 1\n# caf\xe9\n', 'latin1'));
      assert.throws(() => Policy.load(join(folder, 'latin.toml')), /latin.toml:2:6: is not UTF-8/);
      writeFileSync(join(folder, 'nul.toml'), 'version = 1\n\0');
      assert.throws(() => Policy.load(join(folder, 'nul.toml')), PolicyError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('shares its objects in a named scope', () => {
    const text = (cooldown, rate) =>
      `scope = "process:policy-test"\nversion = 1\n[breakers]\npayment = { cooldown = "${cooldown}" }\n` +
      `[limits]\nall = { rate = "${rate}" }\n`;
    const policy = Policy.parse(text('30s', '5/min'));
    assert.equal(policy.scope, 'process:policy-test');
    policy.breaker('payment').forceOpen();
    assert.ok(policy.limit('all').tryAcquire(5) && !policy.limit('all').tryAcquire());
    // A newer file wins.
    const other = Policy.parse(text('10s', '10/min'));
    assert.equal(other.breaker('payment').state, 'forced_open');
    other.limit('all');
    assert.equal(policy.limit('all').peek().limit, 10);
    process.env.TIDEGATE_SCOPE = 'process';
    try {
      assert.equal(Policy.parse(text('30s', '5/min')).breaker('payment').state, 'closed');
      process.env.TIDEGATE_SCOPE = 'hots:x';
      assert.throws(() => Policy.parse('version = 1'), /TIDEGATE_SCOPE/);
    } finally {
      delete process.env.TIDEGATE_SCOPE;
    }
  });
});

describe('a gate of a policy before a server', () => {
  it('counts by what the file says, unless the middleware says otherwise', async (t) => {
    const text = `
version = 1
[limits]
client = { rate = "1/hour", key = "first_of(user, header:x-api-key, client_ip)" }
tenant = { rate = "9/hour", key = "header:x-tenant" }
[gates.orders]
use = { limits = ["client", "tenant"] }
`;
    const serve = async (options) => {
      const guard = admit(Policy.parse(text).gate('orders'), options);
      const server = createServer((request, response) => guard(request, response, () => response.end()));
      t.after(() => (server.close(), server.closeAllConnections()));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      return async (headers) => {
        const answer = await fetch(`http://127.0.0.1:${server.address().port}`, { headers });
        return [answer.status, answer.headers.get('ratelimit').replace(/;t=\d+/g, '')];
      };
    };
    const ask = await serve({});
    assert.deepEqual(await ask({ 'x-api-key': 'a', 'x-tenant': 't' }), [200, '"client";r=0, "tenant";r=8']);
    assert.deepEqual(await ask({ 'x-api-key': 'a', 'x-tenant': 't' }), [429, '"client";r=0, "tenant";r=8']);
    assert.deepEqual(await ask({ 'x-api-key': 'b', 'x-tenant': 't' }), [200, '"client";r=0, "tenant";r=7']);
    // By the address.
    assert.deepEqual(await ask({ 'x-tenant': 't' }), [200, '"client";r=0, "tenant";r=6']);
    assert.deepEqual(await ask({ 'x-tenant': 'u' }), [429, '"client";r=0, "tenant";r=9']);
    const other = await serve({ key: { client: 'header:x-tenant' } });
    assert.deepEqual(await other({ 'x-api-key': 'a', 'x-tenant': 't' }), [200, '"client";r=0, "tenant";r=8']);
    assert.deepEqual(await other({ 'x-api-key': 'b', 'x-tenant': 't' }), [429, '"client";r=0, "tenant";r=8']);
  });
});
