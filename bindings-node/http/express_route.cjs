'use strict';
// What Express treats as one route. Under a router that is mounted with parameters, at several prefixes or without
// regard to case a path has as many spellings as a client likes. So a route is known by its pattern and by where its
// routers stand in the application, never by what a client wrote.

/** The layers of an application; Express 4 keeps its router in another place, and has an error in this one's. */
const stackOf = (app) => (app._router ?? app.router)?.stack ?? [];

/**
 * What a layer takes of the path, as Express finds it; `undefined` where it does not match. Express itself asks each
 * layer anew for each request: it gives what has matched, or `true` and keeps it.
 */
function takenBy(layer, path) {
  try {
    const match = layer.match(path);
    const taken = (match === true ? layer.path : match.path) ?? '';
    // A slash at its end stays with what is left.
    return match ? taken.replace(/\/$/, '') : undefined;
  } catch {
    // A parameter that cannot be decoded, which the router will say.
    return undefined;
  }
}

const handles = (route, method) => (route._handlesMethod ?? route._handles_method)?.call(route, method) === true;

/** Below a layer that has matched: what is left of the path, as a router gets it. */
function restOf(path, taken) {
  const rest = path.slice(taken.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Where a layer is mounted, as its author wrote it; by its place among the others where Express does not keep that. */
function mountOf(layer, place) {
  if (layer.slash === true || layer.regexp?.fast_slash === true) return '';
  return String(layer.rawPath ?? layer.regexp ?? `(${place})`);
}

/**
 * The way through the layers to the first that `found(layer, path, taken)` takes, as a text: where each router on it is
 * mounted, and that layer's own pattern.
 *
 * @param apps the applications in which the request may be, mounted one in the other, outermost first
 */
function wayTo(stack, path, apps, found) {
  let place = -1;
  for (const layer of stack) {
    const { route, handle } = layer;
    if (route === undefined) place += 1;
    const taken = takenBy(layer, path);
    if (taken === undefined) continue;
    const own = route === undefined ? mountOf(layer, place) : String(route.path);
    if (found(layer, path, taken)) return own;
    const isApp = handle?.name === 'mounted_app' && apps.length > 0;
    const inner = isApp ? stackOf(apps[0]) : handle?.stack;
    if (route !== undefined || !Array.isArray(inner)) continue;
    const way = wayTo(inner, restOf(path, taken), isApp ? apps.slice(1) : apps, found);
    if (way !== undefined) return own + way;
  }
  return undefined;
}

/** The applications around a request, outermost first. */
function appsOf({ app }) {
  const apps = [];
  for (let one = app; one !== undefined && one !== null; one = one.parent) apps.unshift(one);
  return apps;
}

/**
 * The route that the request is in, or that it will come to; where no route answers it, the place at which the
 * middleware is mounted that does. `undefined` for neither.
 */
function expressRoute(request, method) {
  const { route, baseUrl = '' } = request;
  if (route !== undefined && baseUrl === '') return String(route.path);
  const [root, ...inner] = appsOf(request);
  const path = `${baseUrl}${request.path}`;
  const isRoute =
    route === undefined ? (layer) => layer.route !== undefined && handles(layer.route, method) : isLayerOf(route);
  const way = wayTo(stackOf(root), path, inner, isRoute);
  if (way !== undefined || baseUrl === '') return way;
  // As much of the path as has been taken off it: the first that is mounted there stands for all.
  const left = path.length - baseUrl.length;
  const mount = wayTo(stackOf(root), path, inner, (_layer, rest, taken) => rest.length - taken.length === left);
  return mount === undefined ? undefined : `${mount}${route?.path ?? ''}`;
}

const isLayerOf = (route) => (layer) => layer.route === route;

module.exports = { expressRoute };
