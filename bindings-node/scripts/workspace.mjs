// What the scripts share: where things are, and the one version of the Cargo workspace.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const packageDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const root = dirname(packageDir);
/** Where binaries built from source lie; `lib/native.cjs` looks there first. */
export const nativeDir = join(packageDir, 'native');

export const manifest = () => JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'));

export function workspaceVersion() {
  const [, section] = readFileSync(join(root, 'Cargo.toml'), 'utf8').split(/^\[workspace\.package\]$/m);
  return /^version\s*=\s*"([^"]+)"/m.exec(section)[1];
}
