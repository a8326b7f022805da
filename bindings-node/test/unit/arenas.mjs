// For tests of named scopes: a directory of their own for arenas, and programs that use them.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

export const skip = process.platform !== 'linux' && 'host scope needs Linux';

/** Makes a directory, says so in TIDEGATE_DIR, and removes it when the file's tests are over. */
export function ownDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
  process.env.TIDEGATE_DIR = directory;
  after(() => {
    for (const child of started) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

let count = 0;
/** A name that no other test has. */
export const fresh = () => `test-${process.pid}-${(count += 1)}`;

export const program = (name) => fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url));

const started = new Set();

/** Starts `holder.mjs` as a process of its own and gives what talks to it. */
export async function start() {
  const child = fork(program('holder'), { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  started.add(child);
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr.on('data', (data) => (stderr += data));
  await answer(child, exited);
  return {
    child,
    exited,
    stderr: () => stderr,
    /** Runs `code` there, with `tidegate` and an object `kept` in scope, and gives what it returns. */
    async run(code) {
      child.send(code);
      return answer(child, exited);
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await exited;
    },
  };
}

async function answer(child, exited) {
  const [message] = await Promise.race([
    once(child, 'message'),
    exited.then((how) => [{ error: `it has ended: ${how}` }]),
  ]);
  if (message.error !== undefined) throw Object.assign(new Error(message.error), message);
  return message.value;
}

/** Asks until `ready()` is true: what other processes do takes as long as it takes. */
export async function until(ready) {
  const deadline = performance.now() + 60_000;
  while (!(await ready())) {
    if (performance.now() > deadline) throw new Error(`not within a minute: ${ready}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
