'use strict';

const { Guard, OPTIONS } = require('../client/guard.cjs');
const { isKey, isRepeatable } = require('../client/repeatable.cjs');
const { followed } = require('../client/stream.cjs');
const check = require('../lib/check.cjs');

/** A Request, of whichever implementation. */
const isRequest = (input) => typeof input === 'object' && typeof input?.url === 'string';

/** What a call of fetch asks for; undefined where fetch itself is to say what is wrong with it. */
function requestOf(input, init) {
  const given = isRequest(input) ? input : undefined;
  const url = parsed(given?.url ?? input);
  if (url === undefined) return undefined;
  const method = String(init?.method ?? given?.method ?? 'GET').toUpperCase();
  // A Request has its body as a stream, whatever it was made from.
  const body = init?.body ?? given?.body;
  const headersOf = () => new Headers(init?.headers ?? given?.headers);
  return {
    url,
    method,
    get headers() {
      return headersOf();
    },
    isRepeatable: isRepeatable(method, body, init?.idempotent, () => isKey(headersOf().get('idempotency-key'))),
    signal: init?.signal ?? given?.signal ?? undefined,
  };
}

/** A lost connection is a TypeError as well, with the reason as its cause. */
const isMistake = (error) => error?.name === 'TypeError' && error.cause === undefined && error.code === undefined;

function parsed(url) {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}

/** `response` with a body that tells what becomes of it; one without, and one of a kind that cannot, is at its end. */
function follow(response, end) {
  const { body, constructor: Own, headers, status, statusText } = response;
  const canTell = kindOf(response) === '[object Response]' && typeof body?.getReader === 'function' && !body.locked;
  if (!canTell || status < 200) {
    end.ended();
    return response;
  }
  const init = { status: status > 599 ? 200 : status, statusText: PHRASE.test(statusText) ? statusText : '', headers };
  return like(response, new Own(followed(body, end), init));
}

const kindOf = (value) => Object.prototype.toString.call(value);
/** What a Response that is made may have as statusText; one that was received may have any text, and any status. */
const PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What a Response that somebody made does not have, or cannot. */
function like(response, made) {
  for (const name of ['url', 'redirected', 'type', 'status', 'statusText', 'ok']) {
    if (made[name] === response[name]) continue;
    Object.defineProperty(made, name, { value: response[name], configurable: true, enumerable: true });
  }
  const clone = () => like(response, Object.getPrototypeOf(made).clone.call(made));
  Object.defineProperty(made, 'clone', { value: clone, configurable: true, writable: true });
  return made;
}

/** `init` with these headers in place of its own; as it is, where there are none. */
function withHeaders(input, init, more) {
  const names = Object.keys(more);
  // A Request in the place of `init` can only be read by itself.
  if (names.length === 0 || isRequest(init)) return init;
  const headers = new Headers(init?.headers ?? (isRequest(input) ? input.headers : undefined));
  for (const name of names) headers.set(name, more[name]);
  // Whatever `init` inherits is part of it.
  return Object.create(init ?? null, { headers: { value: headers, enumerable: true } });
}

function guardedFetch(options = {}) {
  const given = check.options(options, 'guardedFetch', [...OPTIONS, 'fetch']);
  if (given.fetch !== undefined) check.callable(given.fetch, 'fetch');
  const guard = new Guard(given);
  // Without one that is given the one of the moment, which tests and agents for monitoring replace.
  const base = given.fetch ?? ((...asked) => globalThis.fetch(...asked));
  return async function fetch(input, init = undefined) {
    const request = requestOf(input, init);
    if (request === undefined) return base(input, init);
    return guard.call(request, {
      send: async (more) => base(input, withHeaders(input, init, more)),
      follow,
      isMistake,
    });
  };
}

module.exports = { guardedFetch };
