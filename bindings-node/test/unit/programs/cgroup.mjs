// cgroup.mjs NAMESPACE: a shedder over files of /proc and /sys/fs/cgroup that this program writes, in a mount namespace
// of its own, which is not that one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { LoadShedder, ManualClock } from '../../../index.mjs';

// Or it would hide the machine's own.
assert.notEqual(readlinkSync('/proc/self/ns/mnt'), process.argv[2]);
assert.ok(process.argv[2]?.startsWith('mnt:'));

const root = mkdtempSync(join(tmpdir(), 'cgroup-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const write = (path, text) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
};
function cgroup(name, most, current) {
  for (const [file, text] of Object.entries({ max: most, current, stat: 'inactive_file 0' })) {
    write(`cgroup/${name}/memory.${file}`, text);
  }
}
mkdirSync(join(root, 'proc'));
mkdirSync(join(root, 'cgroup'));
try {
  execFileSync('mount', ['--bind', join(root, 'proc'), '/proc'], { stdio: 'pipe' });
  execFileSync('mount', ['--bind', join(root, 'cgroup'), '/sys/fs/cgroup'], { stdio: 'pipe' });
} catch (error) {
  console.log(`SKIP ${error.message.split('\n')[0]}`);
  process.exit(0);
}

const clock = new ManualClock();
const shedder = () => new LoadShedder({ signals: ['memory', 'cpu', 'psiCpu', 'psiMemory', 'loopLag'], clock });
const until = (it, holds) => {
  for (let n = 0; n < 4000 && !holds(); n += 1) {
    assert.equal(typeof it.admit('normal'), 'boolean');
    it.sample();
    clock.advance(50);
  }
  assert.ok(holds(), it.explain().join('\n'));
};
const isOff = (it, signal) => it.explain().some((line) => line.startsWith(`${signal}: off, `));

const without = shedder();
until(without, () => ['memory', 'cpu', 'psiCpu', 'psiMemory'].every((signal) => isOff(without, signal)));
assert.equal(without.pressure, 0);
assert.equal(without.admit('sheddable', 127), true);

write('proc/self/cgroup', '0::/a');
write('proc/self/mountinfo', '30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw');
cgroup('a', 100_000, 90_000);
cgroup('b', 100_000, 99_000);
const it = shedder();
const at = (pressure) => until(it, () => Math.abs(it.pressure - pressure) < 1e-5);
at(0.5);
cgroup('a', 200_000, 90_000);
at(0);
write('proc/self/cgroup', '0::/b');
at(1);
assert.equal(it.check().signal, 'memory');
unlinkSync(join(root, 'cgroup/b/memory.current'));
at(0);
assert.ok(isOff(it, 'memory'));
cgroup('b', 100_000, 90_000);
at(0.5);
console.log('OK');
