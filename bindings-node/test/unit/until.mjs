import assert from 'node:assert/strict';

/** Waits until `done()` says so; after ten seconds that is a failure. */
export async function until(done) {
  const give = performance.now() + 10_000;
  while (!done()) {
    assert.ok(performance.now() < give, 'it did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
