'use strict';
// For the axios that is given: an application may have it as an ES module and as CommonJS, which are two.

const { errorMonitor } = require('node:events');
const { Guard, Lost, OPTIONS } = require('../client/guard.cjs');
const { isKey, isRepeatable } = require('../client/repeatable.cjs');
const { followed } = require('../client/stream.cjs');
const { isTimeUp } = require('../lib/abort.cjs');
const check = require('../lib/check.cjs');
const { DISCARD, drainNode, drainWeb } = require('../lib/discard.cjs');
const { abandon } = require('../lib/promise.cjs');

/** What the adapter gave: a response, or the error that it makes of one whose status is not wanted. */
class Answer {
  constructor(response, error) {
    this.status = response.status;
    this.headers = response.headers;
    this.response = response;
    this.error = error;
  }

  [DISCARD]() {
    const { data } = this.response;
    if (typeof data?.getReader === 'function') abandon([drainWeb(data)]);
    else if (typeof data?.pipe === 'function') drainNode(data);
  }
}

/** A body that is streamed is still to come; any other has come. */
function follow(answer, end) {
  const { response } = answer;
  const { data } = response;
  if (typeof data?.getReader === 'function') response.data = followed(data, end);
  else if (typeof data?.pipe === 'function') followNode(data, end);
  else end.ended();
  return answer;
}

function followNode(stream, end) {
  stream.once('end', () => end.ended());
  // Looks on: a stream whose error nobody handles stays one.
  stream.once(errorMonitor, (error) => {
    try {
      end.failed(error);
    } catch {
      // What a predicate throws has no way to the caller any more; the call is a failure.
    }
  });
  // After both, where one was.
  stream.once('close', () => end.abandoned());
}

function urlOf({ url, baseURL }) {
  try {
    return new URL(url ?? '', baseURL);
  } catch {
    return undefined;
  }
}

/** One signal for all the ways in which axios is told to stop. */
function stopOf({ signal, cancelToken }) {
  if (cancelToken === undefined && (signal === undefined || signal instanceof AbortSignal)) {
    return { signal, done() {} };
  }
  const life = new AbortController();
  const stop = () => life.abort(signal?.reason);
  cancelToken?.subscribe(stop);
  if (signal?.aborted) stop();
  signal?.addEventListener?.('abort', stop);
  const done = () => {
    cancelToken?.unsubscribe(stop);
    signal?.removeEventListener?.('abort', stop);
  };
  return { signal: life.signal, done };
}

async function send(adapter, config, signal, more) {
  // What an adapter does to headers is done for one attempt.
  const headers = config.headers.concat(more);
  const one = { ...config, headers };
  try {
    return new Answer(await adapter(one));
  } catch (error) {
    const { response } = error ?? {};
    // By a signal's own timeout: for axios that is an abort like any other.
    if (isTimeUp(signal?.reason)) throw new Lost(error, 'ETIMEDOUT');
    if (response === undefined) throw error;
    // The head of a body that was cut off.
    if (config.validateStatus?.(response.status) !== false) throw new Lost(error, 'ECONNRESET');
    return new Answer(response, error);
  }
}

function make(axios) {
  if (typeof axios.getAdapter !== 'function') {
    throw new Error(`tidegate/axios needs axios 1.5 or later, and found ${axios.VERSION}`);
  }
  function guardedAdapter(options = {}) {
    const given = check.options(options, 'guardedAdapter', [...OPTIONS, 'adapter']);
    const guard = new Guard(given);
    const base = given.adapter ?? axios.defaults.adapter;
    return async function adapter(config) {
      const through = axios.getAdapter(base, config);
      const method = (config.method ?? 'get').toUpperCase();
      const hasKey = () =>
        Object.entries(config.headers).some(
          ([name, value]) => name.toLowerCase() === 'idempotency-key' && isKey(value),
        );
      const { signal, done } = stopOf(config);
      const request = {
        url: urlOf(config),
        method,
        headers: config.headers,
        isRepeatable: isRepeatable(method, config.data, config.idempotent, hasKey),
        signal,
      };
      try {
        const answer = await guard.call(request, { send: (more) => send(through, config, signal, more), follow });
        if (answer.error !== undefined) throw answer.error;
        return answer.response;
      } catch (error) {
        // As axios says it, also where it was waited for the next attempt.
        throw signal?.aborted && error === signal.reason ? new axios.CanceledError(undefined, config) : error;
      } finally {
        done();
      }
    };
  }
  return { guardedAdapter };
}

module.exports = { make };
