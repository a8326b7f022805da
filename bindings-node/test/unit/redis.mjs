// A real Redis for the tests of one file, behind a socket file.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.mjs';

/** `{ path, stop }`, or `{ skip }` with the reason. */
export async function startRedis() {
  if (spawnSync('redis-server', ['--version']).error !== undefined) {
    return { skip: 'redis-server is not installed (Debian: apt-get install redis-server)' };
  }
  const directory = mkdtempSync(join(tmpdir(), 'redis-'));
  const path = join(directory, 'socket');
  const settings = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', directory];
  // It ends when this process does, however that comes.
  const keeper = 'redis-server "$@" >/dev/null & cat; kill $!; wait';
  const server = spawn('sh', ['-c', keeper, 'sh', ...settings], { stdio: ['pipe', 'inherit', 'inherit'] });
  await until(() => existsSync(path));
  return {
    path,
    async stop() {
      server.stdin.end();
      await once(server, 'exit');
      rmSync(directory, { recursive: true });
    },
  };
}
