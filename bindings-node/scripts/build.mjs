// Builds the addon with cargo and puts it where lib/native.cjs looks first: native/tidegate.<platform>.node
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { nativeDir, root } from './workspace.mjs';

const { platform } = createRequire(import.meta.url)('../lib/platform.cjs');

const args = ['build', '--release', '--package', 'tidegate-node', '--message-format=json-render-diagnostics'];
const env = { ...process.env, RUSTFLAGS: execFileSync(join(root, 'xtask/release-flags'), { encoding: 'utf8' }).trim() };
const cargo = spawnSync('cargo', args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
if (cargo.error?.code === 'ENOENT') {
  console.error('cargo is not installed: see https://rustup.rs, then run this again');
  process.exit(1);
}
if (cargo.status !== 0) process.exit(cargo.status ?? 1);

// cargo says where the library is, whatever CARGO_TARGET_DIR and the platform's naming are.
const artifact = cargo.stdout
  .toString()
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .find(({ reason, target }) => reason === 'compiler-artifact' && target.name === 'tidegate_node');
const library = artifact.filenames.find((file) => /\.(so|dylib|dll)$/.test(file));

mkdirSync(nativeDir, { recursive: true });
const binary = join(nativeDir, `tidegate.${platform().triple}.node`);
// Renamed into place: a running node keeps the file it has mapped.
copyFileSync(library, `${binary}.new`);
renameSync(`${binary}.new`, binary);
console.log(`built ${binary}`);
