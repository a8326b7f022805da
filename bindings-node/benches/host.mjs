// Contenders in host scope. Beside what other libraries share between processes: tests/bench/shared.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostScope } from 'tidegate';

/** An arena that goes with this process, in memory where the system has such a directory. */
function ownArena() {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tidegate-bench-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return { scope: new HostScope('bench', { path }), name: 'bench' };
}

/** `make` with a place in an arena of the machine. */
export const inHostScope = (make) => () => make(ownArena());
