// The command as npm installs it. What it shows is tested with the core; here, that it is the same command.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HostScope, TokenBucket, version } from 'tidegate';

const path = mkdtempSync(join(tmpdir(), 'tidegate-command-'));
after(() => rmSync(path, { recursive: true }));

const here = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const installed = here('../target/node-apps/plain/node_modules/.bin/tidegate');

for (const [what, command] of [
  ['bin/tidegate.cjs', here('bin/tidegate.cjs')],
  ['the installed command', installed],
]) {
  const skip =
    (process.platform !== 'linux' && 'host scope needs Linux') ||
    (!existsSync(command) && 'run-tests installs the tarballs first');
  describe(what, { skip }, () => {
    const tidegate = (...words) => spawnSync(command, ['--path', path, ...words], { encoding: 'utf8' });

    it('shows an arena of this process, and keeps it', () => {
      const scope = new HostScope('orders', { path });
      const bucket = new TokenBucket({ rate: '5/hour', scope, name: 'everyone' });
      bucket.reset();
      assert.equal(bucket.tryAcquire(2), true);
      const shown = tidegate('--json', 'show', 'orders');
      assert.deepEqual([shown.status, shown.stderr], [0, '']);
      const { objects, processes } = JSON.parse(shown.stdout);
      assert.deepEqual(
        objects.map(({ name, remaining }) => [name, remaining]),
        [['everyone', 3]],
      );
      assert.deepEqual(
        processes.map(({ pid, alive }) => [pid, alive]),
        [[process.pid, true]],
      );
      const refused = tidegate('rm', 'orders');
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, new RegExp(`pid ${process.pid}`));
      assert.equal(tidegate('reset', 'orders', 'everyone').status, 0);
      assert.equal(bucket.peek().remaining, 5);
    });

    it('tells which words are wrong, and its version', () => {
      const usage = tidegate('loook');
      assert.equal(usage.status, 2);
      assert.match(usage.stderr, /Usage: tidegate/);
      assert.equal(tidegate('--version').stdout.trim(), `tidegate ${version}`);
    });
  });
}
