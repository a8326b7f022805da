'use strict';
// A guarded call as an exchange, whatever brought it: HTTP, GraphQL, a microservice's message, a WebSocket's.

/** A GraphQL field: its HTTP request stands in the context that the driver made. One exchange for each root field. */
function graphql(gate, context) {
  const [, , shared, info] = context.getArgs();
  const request = shared?.req ?? shared?.request ?? shared?.reply?.request;
  const response = shared?.res ?? shared?.reply ?? request?.res;
  return gate.exchange(request, response, context, info ?? context.getArgs());
}

/** A message: its client is the other end of its connection, where the transport knows one. */
function rpc(gate, context) {
  const transport = context.switchToRpc().getContext();
  const socket = transport?.getSocketRef?.();
  const peer = (socket?.socket ?? socket?.netSocket ?? socket)?.remoteAddress;
  return gate.exchange(undefined, undefined, context, context.getArgs(), peer ?? '');
}

function ws(gate, context) {
  const client = context.switchToWs().getClient();
  const peer = client?.handshake?.address ?? client?._socket?.remoteAddress;
  return gate.exchange(undefined, undefined, context, context.getArgs(), peer ?? '');
}

function http(gate, context) {
  const { getRequest, getResponse } = context.switchToHttp();
  return gate.exchange(getRequest(), getResponse(), context);
}

const KINDS = { http, graphql, rpc, ws };

/** @returns an exchange, undefined for a kind of call that nothing is known of */
const exchangeOf = (gate, context) => KINDS[context.getType()]?.(gate, context);

/** Each transport tells an error in its own way; its package is there when the transport is. */
function refusalFor(type, exception) {
  const wrap = { rpc: ['@nestjs/microservices', 'RpcException'], ws: ['@nestjs/websockets', 'WsException'] }[type];
  if (wrap === undefined) return exception;
  const [name, kind] = wrap;
  const { [kind]: Exception } = require(name);
  return new Exception({ ...exception.getResponse(), message: exception.message, retryAfterMs: exception.retryAfterMs });
}

module.exports = { exchangeOf, refusalFor };
