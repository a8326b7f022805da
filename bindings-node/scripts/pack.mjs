// Packs what npm would publish into target/npm: the main package, and a platform package per binary in native/.
// The main package names the platform packages as optional dependencies, so that npm installs the one that fits.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, nativeDir, packageDir, root, workspaceVersion } from './workspace.mjs';

const out = join(root, 'target', 'npm');
const main = manifest();
const version = workspaceVersion();
if (main.version !== version) {
  throw new Error(`package.json says ${main.version}, Cargo.toml ${version}: run npm run version:sync`);
}
const binaries = existsSync(nativeDir) ? readdirSync(nativeDir).filter((name) => name.endsWith('.node')) : [];
if (binaries.length === 0) throw new Error(`no binary in ${nativeDir}: run npm run build first`);

rmSync(out, { recursive: true, force: true });

/** Writes a package directory and packs it. */
function pack(name, json, files) {
  const dir = join(out, name);
  mkdirSync(dir, { recursive: true });
  for (const [from, to] of files) cpSync(from, join(dir, to), { recursive: true });
  writeFileSync(join(dir, 'package.json'), `${JSON.stringify(json, null, 2)}\n`);
  execFileSync('npm', ['pack', '--silent', '--pack-destination', out], {
    cwd: dir,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  console.log(join(out, `${name}-${version}.tgz`));
}

const common = { version, license: main.license, repository: main.repository, engines: main.engines };
// npm adds a file called LICENSE by itself, but none of these.
const legal = ['LICENSE-MIT', 'LICENSE-APACHE'].map((name) => [join(root, name), name]);
const inside = ['THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'].map((name) => [join(packageDir, name), name]);
const names = (files) => files.map(([, name]) => name);

const optionalDependencies = {};
for (const binary of binaries) {
  const triple = binary.slice('tidegate.'.length, -'.node'.length);
  const [os, cpu, abi] = triple.split('-');
  const name = `tidegate-${triple}`;
  const libc = { gnu: 'glibc', musl: 'musl' }[abi];
  const description = `The ${triple} binary of tidegate`;
  const fits = { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) };
  const json = {
    name,
    description,
    ...common,
    main: binary,
    files: [binary, ...names(legal), ...names(inside)],
    ...fits,
  };
  pack(name, json, [[join(nativeDir, binary), binary], ...legal, ...inside]);
  optionalDependencies[name] = version;
}

const { scripts: _scripts, devDependencies: _dev, ...published } = main;
const listed = new Set(main.files);
const shipped = readdirSync(packageDir).filter((name) => listed.has(name) || /^(index\..*|README\.md)$/.test(name));
const files = [...shipped.map((name) => [join(packageDir, name), name]), ...legal];
pack('tidegate', { ...published, files: [...main.files, ...names(legal)], optionalDependencies }, files);
