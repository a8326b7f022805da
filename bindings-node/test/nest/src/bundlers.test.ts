// The recipes of docs/testing.md: bundles by esbuild and webpack, and a test file under jest, made and run.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

const load = createRequire(join(process.cwd(), 'package.json'));
/** What a bundle holds does not depend on Nest: one of the applications has them. */
const skip =
  !['esbuild', 'webpack', 'jest'].every((name) => existsSync(join('node_modules', name))) && 'tried beside Nest 11';
/** In the application, so that what is left out of a bundle is found. */
const directory = mkdtempSync(join(process.cwd(), 'bundles-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};

const entry = file(
  'app.mjs',
  `import { RateLimitedError, RateLimiter } from 'tidegate';
import { TidegateStore } from 'tidegate/express-rate-limit';
const store = new TidegateStore();
const limiter = new RateLimiter({ rate: '1/minute' });
const hits = store.increment('a').totalHits;
console.log(limiter.tryAcquire('a'), limiter.tryAcquire('a'), hits, new RateLimitedError() instanceof Error);
`,
);
const run = (bundle: string) => execFileSync(process.execPath, [bundle], { encoding: 'utf8' }).trim();
const failure = (bundle: string) => spawnSync(process.execPath, [bundle], { encoding: 'utf8' }).stderr;

describe('a bundle', { skip }, () => {
  const esbuild = (options: object) =>
    load('esbuild').build({ entryPoints: [entry], bundle: true, platform: 'node', ...options });

  for (const format of ['esm', 'cjs']) {
    it(`by esbuild, ${format}`, async () => {
      const outfile = join(directory, `esbuild.${format === 'esm' ? 'mjs' : 'cjs'}`);
      await esbuild({ format, external: ['tidegate', 'tidegate/*'], outfile });
      assert.equal(run(outfile), 'true false 1 true');
    });

    it(`by esbuild, ${format}, that holds tidegate says what to do`, async () => {
      const outfile = join(directory, `whole.${format === 'esm' ? 'mjs' : 'cjs'}`);
      await esbuild({ format, outfile });
      // CommonJS finds the installed binary from where the bundle stands; without it, it is told the same.
      if (format === 'cjs') assert.equal(run(outfile), 'true false 1 true');
      else
        assert.match(
          failure(outfile),
          /leave tidegate out of the bundle \(esbuild: external: \['tidegate', 'tidegate\/\*'\]/,
        );
    });
  }

  const webpack = (options: object) =>
    new Promise<void>((resolve, reject) => {
      const common = { mode: 'production', target: 'node20', entry, externals: [/^tidegate(\/|$)/] };
      load('webpack')({ ...common, ...options }, (error: Error | null, stats: any) =>
        error !== null || stats.hasErrors() ? reject(error ?? new Error(String(stats))) : resolve(),
      );
    });

  it('by webpack, CommonJS', async () => {
    await webpack({ externalsType: 'commonjs', output: { path: directory, filename: 'webpack.cjs' } });
    assert.equal(run(join(directory, 'webpack.cjs')), 'true false 1 true');
  });

  it('by webpack, ES module', async () => {
    const output = { path: directory, filename: 'webpack.mjs', module: true };
    await webpack({ externalsType: 'module', experiments: { outputModule: true }, output });
    assert.equal(run(join(directory, 'webpack.mjs')), 'true false 1 true');
  });
});

describe('jest', { skip }, () => {
  it('runs a test file: errors are Errors, fake timers move a DateClock', () => {
    file(
      'limit.test.cjs',
      `const { DateClock, RateLimiter, TokenBucket } = require('tidegate');
test('limits', async () => {
  jest.useFakeTimers();
  const clock = new DateClock();
  const limiter = new RateLimiter({ rate: '1/minute', clock });
  expect([limiter.tryAcquire('a'), limiter.tryAcquire('a')]).toEqual([true, false]);
  jest.advanceTimersByTime(60_000);
  clock.follow();
  expect(limiter.tryAcquire('a')).toBe(true);
  expect(() => new TokenBucket({ rate: 'many' })).toThrow(Error);
});
`,
    );
    const config = JSON.stringify({
      rootDir: directory,
      testRegex: 'limit\\.test\\.cjs$',
      moduleFileExtensions: ['cjs', 'js', 'json', 'node'],
    });
    const jest = join(process.cwd(), 'node_modules/jest/bin/jest.js');
    const { status, stderr } = spawnSync(process.execPath, [jest, '--ci', '--config', config], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });
});
