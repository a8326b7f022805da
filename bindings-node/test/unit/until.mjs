import assert from 'node:assert/strict';

/** Waits until `done()` says so; after `patienceMs` that is a failure. */
export async function until(done, patienceMs = 10_000) {
  const give = performance.now() + patienceMs;
  while (!done()) {
    assert.ok(performance.now() < give, 'it did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
