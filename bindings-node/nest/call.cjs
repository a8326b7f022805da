'use strict';
// A guarded call as an exchange, whatever brought it: HTTP, GraphQL, a microservice's message, a WebSocket's.

const check = require('../lib/check.cjs');
const { upgradeOf } = require('./upgrades.cjs');

/**
 * A GraphQL field: its HTTP request stands in the context that the driver made, or, of a subscription, that which
 * opened its socket. One exchange for each root field.
 */
function graphql(limiter, context) {
  const [, , shared, info] = context.getArgs();
  const extra = shared?.extra ?? shared?.req?.extra;
  const candidates = [shared?.req, shared?.request, shared?.reply?.request, extra?.request, shared?.req?.request];
  const request = candidates.find((one) => (one?.raw ?? one)?.socket !== undefined) ?? shared?.req ?? shared?.request;
  const response = shared?.res ?? shared?.reply ?? request?.res;
  const peer = (request?.raw ?? request)?.socket === undefined ? socketOf(extra?.socket)?.remoteAddress : undefined;
  return addressed(limiter.exchange(request, response, context, info ?? context.getArgs(), peer), 'GraphQL');
}

/** A message: its client is the other end of its connection, where the transport knows one. */
function rpc(limiter, context) {
  const [, , call] = context.getArgs();
  const socket = socketOf(context.switchToRpc().getContext()?.getSocketRef?.());
  const peer = socket?.remoteAddress ?? grpcPeer(call);
  return addressed(limiter.exchange(undefined, undefined, context, context.getArgs(), peer), 'this transport');
}

/** 'ipv4:192.0.2.1:1234' or 'ipv6:[2001:db8::1]:1234', whose brackets gRPC escapes. */
function grpcPeer(call) {
  if (typeof call?.getPeer !== 'function') return undefined;
  const [, address] = /^(?:ipv[46]:)?\[?(.+?)\]?:\d+$/.exec(decodeURIComponent(call.getPeer())) ?? [];
  return address;
}

/** Socket.IO keeps the request that opened the socket, `ws` only the socket below. */
function ws(limiter, context) {
  const client = context.switchToWs().getClient();
  const socket = socketOf(client);
  const request = client?.request ?? client?.upgradeReq ?? upgradeOf(socket);
  const peer = client?.handshake?.address ?? socket?.remoteAddress;
  const exchange = limiter.exchange(request, undefined, context, context.getArgs(), peer);
  if (request !== undefined || !limiter.readsHeaders) return addressed(exchange, 'this kind of socket');
  return unaddressed(exchange, 'a gateway on a port of its own does not tell which client a trusted proxy stands for');
}

function http(limiter, context) {
  const { getRequest, getResponse } = context.switchToHttp();
  return limiter.exchange(getRequest(), getResponse(), context);
}

/** The stream below a message socket, whoever made it. */
const socketOf = (socket) =>
  [socket?._socket, socket?.socket, socket?.netSocket, socket].find((one) => one?.remoteAddress !== undefined);

/** Without an address all clients would share one key, and the first to use it up would shut out everybody. */
function addressed(exchange, where) {
  const { request, peer } = exchange;
  if (peer !== undefined || (request?.raw ?? request)?.socket !== undefined) return exchange;
  return unaddressed(exchange, `${where} does not tell the client's address`);
}

/** Whoever wants the address learns `why` there is none. */
function unaddressed(exchange, why) {
  Object.defineProperty(exchange, 'clientKey', {
    get() {
      throw check.valueError(
        `key: ${why}; give the limit a key function that finds somebody, or override getTracker of TidegateGuard`,
      );
    },
    set(value) {
      Object.defineProperty(exchange, 'clientKey', { value });
    },
    configurable: true,
  });
  return exchange;
}

const KINDS = { http, graphql, rpc, ws };

/** The object that stands for the call, as in its exchange, where every context of the call has the same. */
function identityOf(context) {
  const request = context.getType() === 'http' ? context.switchToHttp().getRequest() : undefined;
  return request === undefined ? context.getArgs()[3] : (request.raw ?? request);
}

/**
 * A GraphQL field below a root field, which Nest guards where it is told to (fieldResolverEnhancers): the root field
 * has been charged for it.
 */
const isField = (context) => context.getType() === 'graphql' && context.getArgs()[3]?.path?.prev !== undefined;

/** @returns an exchange, undefined for a kind of call that nothing is known of */
const exchangeOf = (limiter, context) => KINDS[context.getType()]?.(limiter, context);

/** Whether it passes in any case: `exempt` says so of a path, and a refused preflight looks like a broken site. */
function isExempt(exempt, context, { request }) {
  return context.getType() === 'http' ? exempt(request) : request?.method === 'OPTIONS';
}

/** Each transport tells an error in its own way; its package is there when the transport is. */
function refusalFor(type, exception) {
  const wrap = { rpc: ['@nestjs/microservices', 'RpcException'], ws: ['@nestjs/websockets', 'WsException'] }[type];
  if (wrap === undefined) return exception;
  const [name, kind] = wrap;
  const { [kind]: Exception } = require(name);
  const { code, message, retryAfterMs } = exception;
  return new Exception({ ...exception.getResponse(), code, message, retryAfterMs });
}

module.exports = { exchangeOf, identityOf, isExempt, isField, refusalFor };
