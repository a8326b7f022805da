'use strict';
// What a request says by its route: `{ 'POST /orders': 'critical', '* /reports/*': 'sheddable' }`.

const check = require('../lib/check.cjs');
const { asRouted, pathOf } = require('./keys.cjs');

const ROUTE = /^(\*|[A-Z]+) (?=\/)([^*?#\s]*?)(\/\*)?$/;
/** A part that may be anything, `{id}` or `:id`. */
const PART = /(?<=\/)(?:\{\w+\}|:\w+)(?=\/|$)/;

const escaped = (text) => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');

/** `/users/{id}`, `/reports/*` (all below, and itself) as an expression. */
function expressionOf(path, isBelow, flags) {
  const parts = path.split(new RegExp(PART, 'g')).map(escaped);
  return new RegExp(`^${parts.join('[^/]+')}${isBelow ? '(?:/.*)?' : ''}$`, flags);
}

class Route {
  #method;
  #exact;
  #loose;

  constructor(text, name) {
    const [, method, path, below] = ROUTE.exec(text) ?? [];
    if (method === undefined || /[{}]/.test(path.replace(new RegExp(PART, 'g'), ''))) {
      throw check.valueError(
        `${name}: ${check.show(text)} is no route; write 'POST /orders' (* for all methods), 'GET /users/{id}', ` +
          "or 'GET /reports/*' for all below",
      );
    }
    this.#method = method;
    this.#exact = expressionOf(path, below !== undefined, 's');
    this.#loose = expressionOf(path, below !== undefined, 'si');
  }

  /** GET stands for HEAD too. `isLoose`: upper and lower case are one to the framework's router. */
  fits(method, path, isLoose) {
    const isMethod = ['*', method].includes(this.#method) || (method === 'HEAD' && this.#method === 'GET');
    return isMethod && (isLoose ? this.#loose : this.#exact).test(path);
  }
}

/** The value of the first route that fits a request, `undefined` where none does. `read` checks each value. */
function byRoute(table, name, read) {
  const routes = Object.entries(table).map(([text, value]) => [new Route(text, name), read(value, name)]);
  return (request) => {
    const app = typeof request.app?.enabled === 'function' ? request.app : undefined;
    const path = app === undefined ? pathOf(request) : asRouted(pathOf(request), app);
    const isLoose = app !== undefined && !app.enabled('case sensitive routing');
    return routes.find(([route]) => route.fits(request.method, path, isLoose))?.[1];
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
