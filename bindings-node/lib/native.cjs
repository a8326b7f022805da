'use strict';
// Loads the addon and lays typed arrays over the block of memory that it shares with us (src/io.rs).

const { platform } = require('./platform.cjs');
const { version } = require('../package.json');

const BUNDLED =
  'It looks as if a bundler has packed this file, and none can pack the binary: leave tidegate out of the bundle ' +
  "(esbuild: external: ['tidegate', 'tidegate/*'], webpack: externals: [/^tidegate(\\/|$)/]) and install it beside.";

/** A bundle is another file, or an ES module, which has no `__filename`. */
const isBundled = () => typeof __filename !== 'string' || !/[\\/]native\.cjs$/.test(__filename);

function load() {
  const { triple, libc } = platform();
  const name = `tidegate-${triple}`;
  const failures = [];
  // Built from source beside us, else the platform package.
  for (const candidate of [`../native/tidegate.${triple}.node`, name]) {
    try {
      return { addon: require(candidate), from: candidate };
    } catch (error) {
      // "Not there" is expected of one of them; anything else is the reason to tell.
      failures.push(error.code === 'MODULE_NOT_FOUND' ? `${candidate}: not found` : `${candidate}: ${error.message}`);
    }
  }
  const on = libc === undefined ? triple : `${triple} (libc: ${libc === 'gnu' ? 'glibc' : 'musl'})`;
  const error = new Error(
    `tidegate has no native binary for ${on}: the package ${name} is missing or does not load. ` +
      `Install it with "npm install ${name}@${version}" (an install with --omit=optional, or a lock file or ` +
      'node_modules made on another platform or libc, leaves it out), or build from source: cd bindings-node && ' +
      'npm ci && npm run build.\n' +
      (isBundled() ? `${BUNDLED}\n` : '') +
      failures.map((line) => `  tried ${line.split('\n')[0]}`).join('\n'),
  );
  error.code = 'ERR_TIDEGATE_BINARY_MISSING';
  throw error;
}

/** An error of another realm as one of this realm. */
function asOwn(error) {
  const Own = { TypeError, RangeError }[error?.name] ?? Error;
  return Object.assign(new Own(error.message, { cause: error }), { code: error.code });
}

/**
 * The addon makes its errors in the realm in which Node loaded it. Where this file runs in another (jest and vitest's
 * vm pools give each test file one), they are made anew here, or `instanceof Error` is false for them. Elsewhere
 * nothing is put between.
 */
function ofThisRealm(loaded) {
  try {
    loaded.scope.check(undefined, '');
  } catch (error) {
    if (error instanceof Error) return loaded;
  }
  const wrap =
    (operation) =>
    (...args) => {
      try {
        return operation(...args);
      } catch (error) {
        throw error instanceof Error ? error : asOwn(error);
      }
    };
  const entries = (object, make) =>
    Object.fromEntries(Object.entries(object).map(([key, value]) => [key, make(value)]));
  const wrapped = (value) => {
    if (typeof value === 'function') return wrap(value);
    return Object.prototype.toString.call(value) === '[object Object]' ? entries(value, wrapped) : value;
  };
  return entries(loaded, wrapped);
}

const { addon: loaded, from } = load();
const addon = ofThisRealm(loaded);
if (addon.version !== version) {
  throw Object.assign(
    new Error(
      `tidegate ${version} found version ${addon.version} of its binary in ${from}: install the same version of both`,
    ),
    { code: 'ERR_TIDEGATE_BINARY_VERSION' },
  );
}

module.exports = {
  addon,
  /** Small whole numbers: [0] the object that is meant, [1] a count in, the yes or no out. */
  words: new Uint32Array(addon.io, 0, 4),
  /** Everything else that is a number, in and out. */
  numbers: new Float64Array(addon.io, 16, 24),
  /** A permit's or ticket's 128 opaque bits. */
  bits: new Int32Array(addon.io, 208, 4),
  /** The same bits as 64-bit numbers (clock readings). */
  bigints: new BigUint64Array(addon.io, 208, 2),
  /** The members of a set, six numbers each. */
  each: new Float64Array(addon.io, 224, 16 * 6),
};
