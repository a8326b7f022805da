// Contenders of the rows about all processes of a machine, and about permits.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostScope } from 'tidegate';

/** An arena that goes with this process, in memory where the system has such a directory. */
function ownArena() {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tidegate-bench-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return { scope: new HostScope('bench', { path }), name: 'bench' };
}

/** `make` with a place in an arena of the machine. */
export const inHostScope = (make) => () => make(ownArena());

/** A worker of a cluster asks the limiter in its primary, a message each way a call. */
export const flexibleCluster = async () => {
  const { RateLimiterClusterMaster } = await import('rate-limiter-flexible');
  new RateLimiterClusterMaster();
  cluster.setupPrimary({ exec: fileURLToPath(new URL('cluster_worker.mjs', import.meta.url)), args: [] });
  const worker = cluster.fork();
  process.on('disconnect', () => worker.kill());
  const told = async (what) => {
    for (;;) if ((await once(worker, 'message'))[0] === what) return;
  };
  await told('ready');
  return async (n) => {
    const done = told('done');
    worker.send({ calls: n });
    await done;
  };
};
