// The package as npm delivers it: what run-tests installed from the packed tarballs into target/node-apps/{plain,bare}.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { version } from 'tidegate';

const require = createRequire(import.meta.url);
const { platform } = require('../../lib/platform.cjs');
const apps = fileURLToPath(new URL('../../../target/node-apps/', import.meta.url));
const [plain, bare] = ['plain', 'bare'].map((name) => join(apps, name));
const skip = !existsSync(plain) && 'run-tests installs the tarballs first';
const { triple, libc } = platform();

const node = (cwd, ...args) => spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });

describe('the installed package', { skip }, () => {
  it('loads by require and by import, from its platform package', () => {
    const where = "require.resolve('tidegate-" + triple + "')";
    const took = "new TokenBucket({ rate: '1/s' }).tryAcquire()";
    const code = `const { TokenBucket } = require('tidegate'); console.log(${took}, ${where})`;
    const required = node(plain, '-e', code);
    assert.equal(required.status, 0, required.stderr);
    assert.match(required.stdout, /^true .*node_modules/);
    const imported = node(
      plain,
      '--input-type=module',
      '-e',
      "import { version } from 'tidegate'; console.log(version)",
    );
    assert.equal(imported.stdout.trim(), version, imported.stderr);
  });

  it('has one version: Cargo workspace, main package, platform package, binary', () => {
    execFileSync(process.execPath, ['scripts/version.mjs', '--check'], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    });
    const read = (name) => JSON.parse(readFileSync(join(plain, 'node_modules', name, 'package.json'), 'utf8'));
    const main = read('tidegate');
    const binary = read(`tidegate-${triple}`);
    assert.deepEqual(
      [main.version, binary.version, main.optionalDependencies[binary.name]],
      [version, version, version],
    );
    assert.deepEqual([binary.os, binary.cpu], [[process.platform], [process.arch]]);
  });

  it('carries no tests, sources or development settings', () => {
    const main = JSON.parse(readFileSync(join(plain, 'node_modules/tidegate/package.json'), 'utf8'));
    assert.deepEqual([main.scripts, main.devDependencies], [undefined, undefined]);
    for (const name of ['test', 'src', 'scripts', 'native'])
      assert.equal(existsSync(join(plain, 'node_modules/tidegate', name)), false, name);
    const entries = [
      'nest',
      'express',
      'koa',
      'fastify',
      'fetch',
      'undici',
      'axios',
      'cockatiel',
      'kafka',
      'bullmq',
      'prom-client',
      'opentelemetry',
      'throttler',
      'express-rate-limit',
    ];
    const needed = entries.flatMap((entry) => ['cjs', 'mjs', 'd.ts', 'd.mts'].map((end) => `${entry}/index.${end}`));
    for (const name of ['README.md', 'index.d.ts', 'http/types.d.ts', ...needed])
      assert.ok(existsSync(join(plain, 'node_modules/tidegate', name)), name);
  });

  it('does not need Nest', () => {
    assert.equal(existsSync(join(plain, 'node_modules/@nestjs')), false);
    assert.match(node(plain, '-e', "require('tidegate/nest')").stderr, /Cannot find module '@nestjs\/common'/);
  });

  it('has entry points that need nobody else, the same objects by require and by import', () => {
    const alone = ['express', 'koa', 'fastify', 'kafka', 'bullmq', 'prom-client', 'opentelemetry', 'throttler'];
    for (const entry of [...alone, 'express-rate-limit']) {
      const code =
        `import * as esm from 'tidegate/${entry}'; import { createRequire } from 'node:module';` +
        `const cjs = createRequire(process.cwd() + '/x.js')('tidegate/${entry}');` +
        `const names = Object.keys(esm).filter((name) => !['default', 'module.exports'].includes(name));` +
        `console.log(names.length > 0 && names.every((name) => esm[name] === cjs[name]));`;
      const run = node(plain, '--input-type=module', '-e', code);
      assert.equal(run.stdout.trim(), 'true', `${entry}: ${run.stderr}`);
    }
  });

  it('names the missing package and the libc', () => {
    const { status, stderr } = node(bare, '-e', "require('tidegate')");
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`the package tidegate-${triple} is missing`));
    if (libc !== undefined) assert.match(stderr, /libc: (glibc|musl)/);
    assert.match(stderr, /ERR_TIDEGATE_BINARY_MISSING/);
  });

  it('knows musl from glibc', { skip: process.platform !== 'linux' && 'only Linux has both' }, () => {
    const patched = `process.report.getReport = () => ({ header: {} }); require('tidegate')`;
    assert.match(node(bare, '-e', patched).stderr, new RegExp(`tidegate-linux-${process.arch}-musl is missing`));
  });
});
