'use strict';
// Whose quota a request uses. A key function gets (request, context) and gives a key, a promise of one, or undefined for
// "nobody": then the client's address stands in, behind a NUL, which no header can hold, so that nobody can name it.

const check = require('../lib/check.cjs');
const { isPromise, whenReady } = require('./promise.cjs');

/** Marks the key function that stands for the client's address, which only the gate knows. */
const clientIp = Object.freeze(() => {
  throw new Error("clientIp is a mark for the 'key' option; it is not called");
});

/** Express has `req.path`, Fastify `request.routeOptions`; Nest's context knows class and method. */
function route(request, context) {
  if (typeof context?.getHandler === 'function') return `${context.getClass().name}.${context.getHandler().name}`;
  const path = request.routeOptions?.url ?? request.route?.path ?? (request.originalUrl ?? request.url ?? '').split('?')[0];
  return `${request.method} ${request.baseUrl ?? ''}${path}`;
}

/** The user whom authentication, which must run before, has put at `request.user`. */
const user = (request) => request?.user?.id ?? request?.user?.sub ?? undefined;

/** A header's value. A client chooses it: use it as a key only where something has checked it, or behind a limit by address. */
function header(name) {
  if (typeof name !== 'string' || name === '') throw check.typeError(`header takes a field name, got ${check.show(name)}`);
  const field = name.toLowerCase();
  return (request) => {
    const value = (request?.raw ?? request)?.headers?.[field];
    return Array.isArray(value) ? value.join(', ') : value;
  };
}

/** The first that names somebody. */
function firstOf(...keys) {
  const functions = keys.map((key) => keyFunction(key));
  const from = (index, request, context) => {
    for (; index < functions.length; index += 1) {
      if (functions[index] === clientIp) return undefined;
      const value = functions[index](request, context);
      if (isPromise(value)) {
        const next = index + 1;
        return whenReady(value, (known) => known ?? from(next, request, context));
      }
      if (value !== undefined && value !== null && value !== '') return value;
    }
    return undefined;
  };
  return (request, context) => from(0, request, context);
}

const NAMED = { ip: clientIp, user, route };

/** The option `key`: a function, `'ip'`, `'user'`, `'route'` or `'header:x-api-key'`. */
function keyFunction(key) {
  if (typeof key === 'function') return key;
  if (typeof key === 'string') {
    if (Object.hasOwn(NAMED, key)) return NAMED[key];
    if (key.startsWith('header:')) return header(key.slice('header:'.length));
  }
  throw check.typeError(`key must be a function, 'ip', 'user', 'route' or 'header:<name>', got ${check.show(key)}`);
}

module.exports = { NAMED, clientIp, firstOf, header, keyFunction, route, user };
