'use strict';
// The path of a request as routers compare it: they take many spellings for one.

/** The target's path: of `/a?b`, and of `http://host/a?b`, which a server has to take as well. */
function pathOf(request) {
  const target = request.originalUrl ?? request.url ?? (request.raw ?? request).url ?? '';
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '') || '/';
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

/** Without regard to case, escapes and needless slashes: whatever compares them, no route has two quotas. */
const oneSpelling = (path) => folded(decoded(path));

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
      const plain = decodedParts(endsAtSemicolon ? single.replace(/;.*$/s, '') : single);
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

/** Where no router is known (Koa, Node's own server): some decode a path before they part it, some after. */
const unknown = new Spelling((path) => [folded(decodedParts(path)), oneSpelling(path)]);

/** That of the router which gets a request. */
function spellingOf(request) {
  if (typeof request.app?.enabled === 'function') return expressSpelling(request.app);
  const config = request.server?.initialConfig;
  return config === undefined ? unknown : fastifySpelling(config);
}

module.exports = { asRouted, oneSpelling, pathOf, spellingOf };
