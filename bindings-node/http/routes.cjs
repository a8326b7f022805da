'use strict';
// What a request says by its route: `{ 'POST /orders': 'critical', '* /reports/*': 'sheddable' }`.

const check = require('../lib/check.cjs');
const { readingsOf } = require('./spelling.cjs');

const ROUTE = /^(\*|[A-Z]+) (?=\/)([^*?#\s]*?)(\/\*)?$/;
/** A part that may be anything, `{id}` or `:id`. */
const PART = /(?<=\/)(?:\{\w+\}|:\w+)(?=\/|$)/;

const escaped = (text) => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');

/** `/users/{id}`, `/reports/*` (all below, and itself) as the text of an expression. */
function expressionOf(path, isBelow, part) {
  const parts = path.split(new RegExp(PART, 'g')).map(escaped);
  return `^${parts.join(part)}${isBelow ? '(?:/.*)?' : ''}$`;
}

class Route {
  #method;
  #path;
  #isBelow;
  /** By how a router compares paths. */
  #expressions = new Map();

  constructor(text, name) {
    const [, method, path, below] = ROUTE.exec(text) ?? [];
    if (method === undefined || /[{}]/.test(path.replace(new RegExp(PART, 'g'), ''))) {
      throw check.valueError(
        `${name}: ${check.show(text)} is no route; write 'POST /orders' (* for all methods), 'GET /users/{id}', ` +
          "or 'GET /reports/*' for all below",
      );
    }
    this.#method = method;
    this.#path = path;
    this.#isBelow = below !== undefined;
  }

  /** Whether one of a path's spellings is the route's. GET stands for HEAD too. */
  fits(method, spelling, paths) {
    const isMethod = ['*', method].includes(this.#method) || (method === 'HEAD' && this.#method === 'GET');
    if (!isMethod) return false;
    const expression = this.#expression(spelling);
    return paths.some((path) => expression.test(path));
  }

  #expression(spelling) {
    let expression = this.#expressions.get(spelling);
    if (expression === undefined) {
      const all = spelling.of(this.#path).map((path) => expressionOf(path, this.#isBelow, spelling.part));
      this.#expressions.set(spelling, (expression = new RegExp(all.join('|'), 's')));
    }
    return expression;
  }
}

/** The value of the first route that fits a request, `undefined` where none does. `read` checks each value. */
function byRoute(table, name, read) {
  const routes = Object.entries(table).map(([text, value]) => [new Route(text, name), read(value, name)]);
  return (request) => {
    for (const [spelling, path] of readingsOf(request)) {
      const paths = spelling.of(path);
      const found = routes.find(([route]) => route.fits(request.method, spelling, paths));
      if (found !== undefined) return found[1];
    }
    return undefined;
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
    return ({ request, rawRequest }) => {
      if (rawRequest?.method === undefined) return undefined;
      return find(request.method === undefined ? rawRequest : request);
    };
  }
  const value = read(given, name);
  return () => value;
}

module.exports = { perRequest };
