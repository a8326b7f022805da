'use strict';
// Paths that are never refused: a probe that is would have a busy process killed, and its load sent to the others.

const check = require('../lib/check.cjs');

const DEFAULT = ['/healthz', '/livez', '/readyz'];

/**
 * Whether middleware is asked below a mount, where a path may be that of anything: `app.use('/search', rateLimit(…))`
 * would let `/search/healthz` pass uncounted, which whoever serves `/search` takes for a search.
 */
function isMounted({ raw, baseUrl, originalUrl, url }) {
  if (raw !== undefined) return false;
  if (baseUrl === undefined) return originalUrl !== undefined && originalUrl !== url;
  return baseUrl !== '';
}

/** As clients send it: what is beyond ASCII in percents. */
const encoded = (path) => capitalized(encodeURI(path.toWellFormed()).replaceAll('%25', '%'));

/** `%c3` is `%C3`. */
const capitalized = (path) => path.replace(/%[0-9a-f]{2}/gi, (byte) => byte.toUpperCase());

/** Of `exempt`: whether a request passes uncounted. OPTIONS does too: a refused preflight looks like a broken site. */
function exemption(given = undefined) {
  const isDefault = given === undefined;
  const value = isDefault ? DEFAULT : given;
  const allowed = "an array of paths, such as ['/healthz']";
  if (!Array.isArray(value)) throw check.typeError(`exempt must be ${allowed}, got ${check.show(value)}`);
  for (const path of value) {
    if (typeof path !== 'string') throw check.typeError(`exempt must be ${allowed}, and holds ${check.show(path)}`);
    if (!/^\/[^*?#]*$/.test(path)) {
      throw check.valueError(`exempt: a path starts with / and is compared as it is, got ${check.show(path)}`);
    }
  }
  const paths = new Set(value.flatMap((path) => [path, encoded(path)]));
  // The path of the target, `/a` of `/a?b` and of `http://host/a`, is cut out only where the target itself is none.
  const isOne = (url) =>
    paths.has(url) ||
    (!/^\/[^%?#]*$/.test(url) &&
      paths.has(capitalized(url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, ''))));
  return (request) =>
    request.method === 'OPTIONS' || (isOne(request.url ?? '') && !(isDefault && isMounted(request)));
}

module.exports = { exemption };
