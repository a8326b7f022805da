'use strict';
// Whose quota a request uses. A key function gets (request, context) and gives a key, a promise of one, or undefined
// for "nobody": then the client's address stands in, behind a NUL, which no header can hold, so that nobody can name
// it.

const check = require('../lib/check.cjs');
const { expressRoute } = require('./express_route.cjs');
const { isPromise, whenReady } = require('../lib/promise.cjs');
const { asRouted, oneSpelling, unroutedPathOf } = require('./spelling.cjs');

/** In the config of a Fastify route: its constraints as a text, of which Fastify tells a request nothing. */
const CONSTRAINTS = Symbol('tidegate.constraints');

/** Marks the key function that stands for the client's address, which only the limiter knows. */
const clientIp = Object.freeze(() => {
  throw new Error("clientIp is a mark for the 'key' option; it is not called");
});

/**
 * What the framework's router treats as one route: Nest's controller and method, Fastify's pattern with the constraints
 * that its plugin was told of, the pattern of the Express route that the request is in or will come to (where none is,
 * the mount it is in, or else the path as the router compares it). A HEAD is its GET. Where no router is known it is
 * the path, in one spelling, and the log says so once.
 */
function route(request, context) {
  if (typeof context?.getHandler === 'function') return nestRoute(context.getClass(), context.getHandler());
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  // Fastify makes the object anew each time it is asked.
  const { routeOptions } = request;
  if (routeOptions !== undefined) return fastifyRoute(method, request, routeOptions);
  // Koa's router has found one.
  if (typeof request._matchedRoute === 'string') return `${method} ${request._matchedRoute}`;
  if (typeof request.app?.enabled !== 'function') return `${method} ${unrouted(request)}`;
  const known = expressRoute(request, request.method);
  // No route will match: as the router compares paths.
  return `${method} ${known ?? asRouted(`${request.baseUrl ?? ''}${request.path}`, request.app)}`;
}

let isTold = false;

/** On Node's own server, and in Nest's middleware over Fastify, which knows nothing of the router. */
function unrouted(request) {
  if (!isTold) {
    isTold = true;
    process.emitWarning(
      "key: 'route' knows no router here (Node's own server, or middleware of Nest on Fastify), so that each path " +
        'has a quota of its own, and whoever has many paths to ask for has many; give a key function, or on Nest ' +
        'use @RateLimit',
      { type: 'TidegateWarning' },
    );
  }
  return oneSpelling(unroutedPathOf(request));
}

function fastifyRoute(method, request, { url = oneSpelling(unroutedPathOf(request)), config }) {
  const constraints = config?.[CONSTRAINTS];
  return constraints === undefined ? `${method} ${url}` : `${method} ${url} ${constraints}`;
}

/** Handler → controller → name. */
const nestRoutes = new WeakMap();

/**
 * A route's name, the same in every process. The names of class and function do not tell it alone: each version may
 * have a controller of the same name, and what other decorators put in a method's place has often none.
 */
function nestRoute(controller, handler) {
  let names = nestRoutes.get(handler);
  if (names === undefined) nestRoutes.set(handler, (names = new WeakMap()));
  let name = names.get(controller);
  if (name === undefined) names.set(controller, (name = nestName(controller, handler)));
  return name;
}

function nestName(controller, handler) {
  const told = [controller, handler].flatMap((one) =>
    ['host', 'path', '__version__'].map((key) => [Reflect.getMetadata?.(key, one) ?? []].flat().map(String).join()),
  );
  return [`${controller.name}.${methodName(controller, handler)}`, ...told].join(' ').trimEnd();
}

function methodName(controller, handler) {
  for (let type = controller.prototype; type !== null && type !== undefined; type = Object.getPrototypeOf(type)) {
    const own = Object.entries(Object.getOwnPropertyDescriptors(type)).find(([, { value }]) => value === handler);
    if (own !== undefined) return own[0];
  }
  return handler.name;
}

/** The user whom authentication, which must run before, has put at `request.user`, in Koa at `ctx.state.user`. */
function user(request) {
  const known = request?.user ?? request?.state?.user;
  return [known?.id, known?.sub].find((id) => !isNobody(id));
}

/** What can be one (RFC 9110, 5.1): no request has another, and everybody would be counted by address. */
const FIELD_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * A header's value. A client chooses it: use it as a key only where something has checked it, or behind a limit by
 * address.
 */
function header(name) {
  if (typeof name !== 'string' || !FIELD_NAME.test(name)) {
    throw check.typeError(`header takes a field name such as 'x-api-key', got ${check.show(name)}`);
  }
  const field = name.toLowerCase();
  return (request) => {
    const value = (request?.raw ?? request)?.headers?.[field];
    return Array.isArray(value) ? value.join(', ') : value;
  };
}

/** What a key function gives where it has found nobody; NaN is what `Number` makes of no number. */
const isNobody = (key) => key === undefined || key === null || key === '' || Number.isNaN(key);

/** The first that names somebody. */
function firstOf(...keys) {
  const functions = keys.map((key) => keyFunction(key));
  const from = (index, request, context) => {
    for (; index < functions.length; index += 1) {
      if (functions[index] === clientIp) return undefined;
      const value = functions[index](request, context);
      if (isPromise(value)) {
        const next = index + 1;
        return whenReady(value, (known) => (isNobody(known) ? from(next, request, context) : known));
      }
      if (!isNobody(value)) return value;
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

/** A key as a policy file writes it: client_ip, user, route, header:NAME, or first_of(…) of them. */
function writtenKey(text) {
  const [, inner] = /^first_of\((.*)\)$/.exec(text) ?? [];
  if (inner !== undefined) return firstOf(...inner.split(',').map((one) => writtenKey(one.trim())));
  return keyFunction(text === 'client_ip' ? 'ip' : text);
}

module.exports = {
  CONSTRAINTS,
  NAMED,
  clientIp,
  firstOf,
  header,
  isNobody,
  keyFunction,
  route,
  user,
  writtenKey,
};
