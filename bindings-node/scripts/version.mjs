// Keeps package.json and package-lock.json at the version of the Cargo workspace; with --check only looks.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDir, workspaceVersion } from './workspace.mjs';

const version = workspaceVersion();
const checkOnly = process.argv.includes('--check');
let differs = false;

for (const name of ['package.json', 'package-lock.json']) {
  const file = join(packageDir, name);
  const json = JSON.parse(readFileSync(file, 'utf8'));
  const places = name === 'package.json' ? [json] : [json, json.packages['']];
  if (places.every((place) => place.version === version)) continue;
  differs = true;
  if (checkOnly) {
    console.error(`${name} is not at version ${version} of Cargo.toml: run npm run version:sync`);
  } else {
    for (const place of places) place.version = version;
    // npm's own form: two spaces; arrays that fit one line in package.json would be broken up, so replace the text.
    const text = readFileSync(file, 'utf8');
    const replaced = name === 'package.json' ? text.replace(/"version": "[^"]*"/, `"version": "${version}"`) : null;
    writeFileSync(file, replaced ?? `${JSON.stringify(json, null, 2)}\n`);
  }
}
if (checkOnly && differs) process.exit(1);
