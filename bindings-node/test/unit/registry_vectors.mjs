// Breakers by key, for vectors.test.mjs.
import assert from 'node:assert/strict';
import { BreakerRegistry, CircuitOpenError } from '../../index.mjs';

const ms = (ns) => Number(ns) / 1e6;

/** What became of asking this breaker for a call. */
function asked(breaker, use) {
  try {
    use(breaker.acquire());
    return { permit: true };
  } catch (error) {
    assert.ok(error instanceof CircuitOpenError);
    return { permit: false, retryAfterMs: error.retryAfterMs };
  }
}

const end = (permit, failed) => permit[failed ? 'failure' : 'success']();

export const REGISTRY = {
  breaker_registry: {
    make: ({ max_breakers: maxBreakers, consecutive_failures: consecutiveFailures, cooldown_ns, overrides }, clock) =>
      new BreakerRegistry({
        maxBreakers,
        consecutiveFailures,
        cooldownMs: ms(cooldown_ns),
        overrides: Object.fromEntries(overrides.map((it) => [it.pattern, { cooldownMs: ms(it.cooldown_ns) }])),
        clock,
      }),
    ops: {
      call: (registry, { key, failed }) => asked(registry.get(key), (permit) => end(permit, failed)),
      hold(registry, { key, as }, names) {
        const breaker = registry.get(key);
        assert.equal(breaker === registry.overflow, breaker.name === '(overflow)');
        names.set(as, breaker);
        return { breaker: breaker.name };
      },
      call_held: (_registry, { held, failed }, names) => asked(names.get(held), (permit) => end(permit, failed)),
      acquire_held: (_registry, { held, as }, names) => asked(names.get(held), (permit) => names.set(as, permit)),
      report: (_registry, { permit, failed }, names) => end(names.get(permit), failed) ?? {},
      peek(registry, { key }) {
        const found = registry.peek(key);
        assert.equal(registry.has(key), found !== null);
        return { state: found && found.state };
      },
      remove: (registry, { key }) => ({ removed: registry.remove(key) }),
      force_open: (registry, { key }) => registry.get(key).forceOpen() ?? {},
      reset: (registry, { key }) => registry.get(key).reset() ?? {},
      set_config(registry, { pattern, cooldown_ns, consecutive_failures }) {
        const cooldownMs = cooldown_ns === null ? undefined : ms(cooldown_ns);
        registry.setConfig(pattern, { cooldownMs, consecutiveFailures: consecutive_failures ?? undefined });
        return {};
      },
      items(registry) {
        const items = registry.items();
        assert.ok(items.every(([key, breaker]) => key.length > 200 || registry.get(key) === breaker));
        return { keys: items.map(([key]) => key) };
      },
      stats(registry) {
        const { breakers, evicted, overflowed } = registry.stats();
        assert.equal(registry.size, breakers);
        return { breakers, evicted, overflowed };
      },
    },
  },
};
