// Clients over real HTTP while their server is slow, hangs, resets or answers 500 for a while. The scenes are
// tests/resilience/chaos.json, which Python plays as well.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, CircuitOpenError, RetryBudget, RetryPolicy } from 'tidegate';
import { undisturbed } from './faulty.mjs';
import { CLIENTS } from './web.mjs';

const plan = JSON.parse(readFileSync(new URL('../../../tests/resilience/chaos.json', import.meta.url), 'utf8'));

/** As Node names settings; what is null is left to its default. */
function settings(of) {
  const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const given = Object.entries(of).filter(([, value]) => value !== null);
  return Object.fromEntries(given.map(([name, value]) => [camel(name), value]));
}

/** Several callers at once, until one of their ends is enough and all that was under way is back. */
async function crowd(call, enough) {
  let done = false;
  const give = performance.now() + 20_000;
  const caller = async () => {
    while (!done) {
      assert.ok(performance.now() < give, 'it did not come');
      if (enough(await call())) done = true;
      await sleep(2);
    }
  };
  await Promise.all(Array.from({ length: plan.callers }, caller));
}

async function passing(t, make, server, fault) {
  const [given, paid] = [settings(plan.breaker), settings(plan.budget)];
  const { ramp_ms: rampMs = 0 } = fault;
  const breaker = new CircuitBreaker('shop', { ...given, ...(rampMs > 0 ? { rampMs } : {}) });
  const budget = new RetryBudget(paid);
  const begun = performance.now();
  const ask = make(t, { breaker, retry: new RetryPolicy({ ...settings(plan.retry), budget }) });
  const calls = { answered: 0, refused: 0, failed: 0 };
  const cycles = () => breaker.events().filter(({ kind }) => kind === 'half_opened').length;

  async function call() {
    let end = 'failed';
    try {
      const { status, read } = await ask(server.url, { signal: AbortSignal.timeout(plan.timeout_ms) });
      await read();
      if (status === 200) end = 'answered';
    } catch (error) {
      if (error instanceof CircuitOpenError) end = 'refused';
    }
    calls[end] += 1;
    return end;
  }

  for (let n = 0; n < 30; n++) assert.equal(await call(), 'answered');
  server.fault = fault;
  await crowd(call, () => breaker.state === 'open');
  assert.ok(breaker.stats().opened >= 1);

  const [asked, before] = [server.asked, cycles()];
  await crowd(call, () => cycles() - before >= 3);
  assert.ok(server.asked - asked <= given.probes * (cycles() - before), 'nothing but probes while it is open');
  assert.ok(calls.refused > 3 * plan.callers);

  server.fault = { act: '200' };
  const [{ opened }, healed] = [breaker.stats(), performance.now()];
  await crowd(call, (end) => end === 'answered' && breaker.state === 'closed');
  assert.ok(breaker.stats().opened - opened <= 1, 'by a probe that was under way when the server came back');
  // That probe, a cooldown, and the probes by which it closes.
  const most = plan.timeout_ms + given.cooldownMs + 2 * given.slowCallDurationMs + plan.spare_ms;
  assert.ok(performance.now() - healed < most);
  await sleep(rampMs);
  const { refused } = calls;
  for (let n = 0; n < 30; n++) assert.equal(await call(), 'answered', 'all is as it was');
  assert.ok(calls.refused === refused && breaker.stats().opened - opened <= 1);

  const events = breaker.events();
  const last = (wanted) => events.findLast(({ kind }) => kind === wanted).atMs;
  assert.ok(last('closed') - last('opened') >= given.cooldownMs, 'and never before');
  assert.equal(events.filter(({ kind }) => kind === 'ramp_started').length, rampMs > 0 ? 1 : 0);

  const [{ withdrawn, deposited }, seconds] = [budget.stats(), (performance.now() - begun) / 1000];
  const floor = paid.minPerSecond;
  const saved = Math.max(1, (floor * paid.ttlMs) / 1000);
  assert.ok(withdrawn <= saved + paid.ratio * deposited + floor * seconds);
  // Each is a call that was admitted, or a retry that was paid for.
  assert.ok(server.asked <= deposited + withdrawn);
}

async function waiting(t, make, server, { ramp_ms, least, most }) {
  const { clients, within_ms, ...given } = plan.waiting;
  const { cooldownMs, probes } = settings(given);
  const breaker = new CircuitBreaker('shop', {
    consecutiveFailures: 1,
    cooldownMs,
    probes,
    ...settings({ ramp_ms }),
  });
  const ask = make(t, { breaker });
  /** When it closed, and when each came who was let through. */
  let closed;
  const passed = [];
  const isOver = () => closed !== undefined && performance.now() > closed + within_ms;

  async function waits() {
    while (!isOver()) {
      const came = performance.now();
      try {
        await (await ask(server.url)).read();
      } catch (error) {
        assert.ok(error instanceof CircuitOpenError);
        await sleep(error.retryAfterMs);
        continue;
      }
      passed.push(came);
      if (breaker.state === 'closed') closed ??= performance.now();
      return;
    }
  }

  server.fault = { act: '500' };
  await (await ask(server.url)).read();
  assert.equal(breaker.state, 'open');
  server.fault = { act: '200' };
  await Promise.all(Array.from({ length: clients }, waits));
  assert.ok(breaker.stats().rejected >= clients, 'all of them waited');
  const through = passed.filter((came) => came <= closed + within_ms).length;
  assert.ok(least <= through && through <= most, `${through} passed`);
}

for (const [name, { make }] of Object.entries(CLIENTS)) {
  describe(`chaos, by ${name}:`, () => {
    for (const fault of plan.cases) {
      it(`a server that is ${fault.name} for a while`, (t) =>
        undisturbed(t, (server) => passing(t, make, server, fault)));
    }
    for (const one of plan.waiting.cases) {
      it(`of those who wait, ${one.name}`, (t) => undisturbed(t, (server) => waiting(t, make, server, one)));
    }
  });
}
