'use strict';
// The path of a request as routers compare it: they take many spellings for one. Whatever a client writes to get to a
// route, the limits of that route are to hold; a spelling that no router serves so may be taken for another's.

/** The path of a target: of `/a?b`, and of `http://host/a?b`, which a server has to take as well. */
const pathIn = (target) => target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '') || '/';

/** As the client wrote it. */
const targetOf = (request) => request.originalUrl ?? request.url ?? (request.raw ?? request).url ?? '';
const pathOf = (request) => pathIn(targetOf(request));

/** What a router compares, whoever has rewritten the client's. */
const presentPathOf = (request) => pathIn((request.req ?? request.raw ?? request).url ?? '');

/**
 * The path by which a route is found where no router is known. A path that is the end of the client's may be what a
 * mount has left of it (koa-mount says so); what is not, somebody has rewritten.
 */
function unroutedPathOf(request) {
  const [whole, present] = [pathOf(request), presentPathOf(request)];
  const isKoa = request.req !== undefined;
  const isLeft = isKoa ? request.mountPath !== undefined : present === '/' || whole.endsWith(present);
  return isLeft ? whole : present;
}

/** An escape that is none stays as it is. */
const decodedBy = (decode) => (path) =>
  path.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => {
    try {
      return decode(bytes);
    } catch {
      return bytes;
    }
  });
const decoded = decodedBy(decodeURIComponent);
/** As find-my-way does: `%2F` parts nothing, and `%25` begins no other escape. */
const decodedParts = decodedBy((bytes) => decodeURI(bytes.replaceAll('%25', '%2525')));

const withoutLastSlash = (path) => path.replace(/(?<=.)\/$/s, '');
const withSingleSlashes = (path) => path.replace(/\/+/g, '/');
const folded = (path) => withoutLastSlash(withSingleSlashes(path.toLowerCase()));
const withoutParameters = (path) => path.replace(/(?<=.);.*$/s, '');

/** As `new URL` reads it, which Node's own servers ask: without `.` and `..`, and `\` is `/`. */
function resolved(path) {
  const parts = [];
  const all = path.replaceAll('\\', '/').split('/').slice(1);
  all.forEach((part, index) => {
    const isDots = part === '.' || part === '..';
    if (part === '..') parts.pop();
    if (!isDots) parts.push(part);
    else if (index === all.length - 1) parts.push('');
  });
  return `/${parts.join('/')}`;
}

/** Of most paths all spellings are one. */
const isPlain = (path) => !/[%;\\]|\/[./]/.test(path);

/**
 * Without regard to case, escapes, needless slashes, dots and what follows a semicolon: whatever compares them, no
 * route has two quotas.
 */
function oneSpelling(path) {
  if (isPlain(path)) return folded(path);
  return folded(resolved(withoutParameters(decoded(withoutParameters(path)))));
}

/**
 * Some decode a path before they part it, some after, some never; some end it at a semicolon, some resolve its dots;
 * some take nothing for a part.
 */
function allSpellings(path) {
  let all = [path];
  if (!isPlain(path)) {
    const ended = (one) => [one, withoutParameters(one)];
    all = ended(path).flatMap((one) => [one, decodedParts(one), ...ended(decoded(one))]);
    all.push(...all.map(resolved));
  }
  const single = all.map((one) => withSingleSlashes(one.toLowerCase()));
  return [...new Set(single.flatMap((one) => [withoutLastSlash(one), one]))];
}

/** Express ignores case and one slash at the end unless it is told not to. */
function asRouted(path, app) {
  const cased = app.enabled('case sensitive routing') ? path : path.toLowerCase();
  return app.enabled('strict routing') ? cased : withoutLastSlash(cased);
}

/** How a router compares: `of(path)` are the spellings that a path stands for, `part` is what `{id}` may be. */
class Spelling {
  constructor(of, part = '[^/]+') {
    this.of = of;
    this.part = part;
  }
}

/** Express's, by what its application is told: each one object, by which expressions are kept. */
const express = new Map();

function expressSpelling(app) {
  const told = `${app.enabled('case sensitive routing')} ${app.enabled('strict routing')}`;
  let spelling = express.get(told);
  if (spelling === undefined) {
    const set = { 'case sensitive routing': told.startsWith('true'), 'strict routing': told.endsWith('true') };
    express.set(told, (spelling = new Spelling((path) => [asRouted(path, { enabled: (name) => set[name] })])));
  }
  return spelling;
}

/** That of a router within an application: it may be told otherwise, and takes what a mount has left, `//` too. */
const router = new Spelling((path) => [folded(path)]);

/** The whole path as Express routes it, which is the client's unless somebody has rewritten it. */
function expressPath({ baseUrl = '', path, originalUrl }) {
  // Below a mount Express makes a slash of what is left where nothing is.
  return path === '/' && pathIn(originalUrl ?? '') === baseUrl ? baseUrl : `${baseUrl}${path}`;
}

/** Those of Fastify's applications, by their configuration. */
const fastify = new WeakMap();

function fastifySpelling(config) {
  let spelling = fastify.get(config);
  if (spelling === undefined) {
    const told = (name, value) => config[name] === value || config.routerOptions?.[name] === value;
    const isFolded = told('caseSensitive', false);
    const areSlashesOne = told('ignoreDuplicateSlashes', true);
    const endsAtSemicolon = told('useSemicolonDelimiter', true);
    const isTrimmed = told('ignoreTrailingSlash', true);
    const of = (path) => {
      const single = areSlashesOne ? withSingleSlashes(path) : path;
      const plain = decodedParts(endsAtSemicolon ? withoutParameters(single) : single);
      const cased = isFolded ? plain.toLowerCase() : plain;
      const trimmed = withoutLastSlash(cased);
      // Unless told otherwise, a plugin's route `/` is served with a slash at the end and without one.
      return isTrimmed || trimmed === cased ? [trimmed] : [trimmed, cased];
    };
    // Of its routes a parameter may be empty.
    fastify.set(config, (spelling = new Spelling(of, '[^/]*')));
  }
  return spelling;
}

/** As find-my-way cuts it out of `http://host/a?b`: whatever stands before the third slash is the host. */
const fastifyPath = ({ url }) => pathIn(url.startsWith('/') ? url : url.replace(/^https?:\/\/.*?\//, '/'));

/** Where no router is known: Koa, Node's own server, middleware of Nest on Fastify. */
const unknown = new Spelling(allSpellings, '[^/]*');

/** How the router that gets a request may read it, `[spelling, path]`, the likeliest first. */
function readingsOf(request) {
  if (typeof request.app?.enabled === 'function') {
    const [spelling, path] = [expressSpelling(request.app), expressPath(request)];
    return [
      [spelling, path],
      [router, path],
    ];
  }
  const config = request.server?.initialConfig;
  if (config !== undefined) return [[fastifySpelling(config), fastifyPath(request)]];
  // Before a router of Fastify there may be middleware that is not its own.
  const paths = [pathOf(request), presentPathOf(request), fastifyPath({ url: targetOf(request) })];
  return [...new Set(paths)].map((path) => [unknown, path]);
}

module.exports = { asRouted, oneSpelling, pathOf, readingsOf, unroutedPathOf };
