'use strict';
// What a request says by its route: `{ 'POST /orders': 'critical', '* /reports/*': 'sheddable' }`.

const check = require('../lib/check.cjs');
const { asRouted, pathOf } = require('./keys.cjs');

const ROUTE = /^(\*|[A-Z]+) (\/[^*?#\s]*)(\*?)$/;

class Route {
  #method;
  #path;
  #isPrefix;

  constructor(text, name) {
    const [, method, path, star] = ROUTE.exec(text) ?? [];
    if (method === undefined) {
      throw check.valueError(
        `${name}: ${check.show(text)} is no route; write 'POST /orders', with * for all methods, ` +
          "and 'GET /orders/*' for all paths below",
      );
    }
    this.#method = method;
    this.#path = path;
    this.#isPrefix = star !== '';
  }

  /** GET stands for HEAD too. `app`: Express's, which may compare without regard to case and a slash at the end. */
  fits(method, path, app) {
    const isMethod = ['*', method].includes(this.#method) || (method === 'HEAD' && this.#method === 'GET');
    if (!isMethod) return false;
    const own = app === undefined || this.#isPrefix ? this.#path : asRouted(this.#path, app);
    if (!this.#isPrefix) return path === own;
    return path.startsWith(app === undefined || app.enabled('case sensitive routing') ? own : own.toLowerCase());
  }
}

/** The value of the first route that fits a request, `undefined` where none does. `read` checks each value. */
function byRoute(table, name, read) {
  const routes = Object.entries(table).map(([text, value]) => [new Route(text, name), read(value, name)]);
  return (request) => {
    const app = typeof request.app?.enabled === 'function' ? request.app : undefined;
    const path = app === undefined ? pathOf(request) : asRouted(pathOf(request), app);
    return routes.find(([route]) => route.fits(request.method, path, app))?.[1];
  };
}

/**
 * An option that is a value, one by route, or a function of the request: as a function of the exchange, whose result,
 * or the promise of it, is checked by who uses it.
 *
 * @param read checks a value that is known now
 */
function perRequest(given, name, read) {
  if (typeof given === 'function') return ({ request, context }) => given(request, context);
  if (given !== null && typeof given === 'object' && !Array.isArray(given)) {
    const find = byRoute(given, name, read);
    // A call of Nest's without HTTP has no route.
    return ({ rawRequest }) => (rawRequest?.method === undefined ? undefined : find(rawRequest));
  }
  const value = read(given, name);
  return () => value;
}

module.exports = { perRequest };
