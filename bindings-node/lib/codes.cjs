'use strict';
// What the codes of errors say, by the sources of Node, undici, axios, llhttp and OpenSSL: each code stands here once.

/**
 * The caller's own mistake, in what it asked for or in what its callback gave back: the same call fails again.
 * UND_ERR_NOT_SUPPORTED is an `expect` header, or formData() of a body of undici's.
 */
const WRONG_ARGUMENT = new RegExp(
  '^(ERR_(INVALID_ARG|OUT_OF_RANGE|MISSING_ARGS)' +
    '|UND_ERR_(INVALID_ARG|INVALID_RETURN_VALUE|NOT_SUPPORTED|REQ_CONTENT_LENGTH))',
);

/** As that, and what else makes no request: an option, or an agent that the caller has closed. */
const UNMADE = /^(ERR_(BAD_OPTION|INVALID)|UND_ERR_(CLOSED|DESTROYED)$)/;

/**
 * No socket or port of this machine was free, or its agent is full or knows no upstream: the call never left.
 * Not a connection that was refused or timed out: of a host that is dead, that is all there is to learn.
 */
const UNREACHED = new Set([
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'UND_ERR_BPL_MISSING_UPSTREAM',
  'UND_ERR_MAX_ORIGINS_REACHED',
]);
/**
 * The connection, or the wait for an answer, failed, or what came is more than the caller takes. UND_ERR_INFO, where it
 * reaches a call, is a stream of HTTP/2 that was ended, or a name without an address.
 */
const FAILED = new Set([
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENODATA',
  'ENOTFOUND',
  'EPIPE',
  'EPROTO',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_NETWORK',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ESOCKETTIMEDOUT',
  'ETIMEDOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_INFO',
  'UND_ERR_PRX_TLS',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  'UND_ERR_SOCKET',
  'UND_ERR_WS_MESSAGE_SIZE_EXCEEDED',
]);

/** What came is no HTTP (llhttp), or a compressed body that is broken or cut off (zlib, brotli, zstd). */
const GARBLED = /^(HPE_|Z_|ZSTD_|ERR__ERROR_|ERR_(BROTLI|ZSTD)_DECO)/;

/** No trust in who answered, by what OpenSSL calls a certificate that it does not verify. */
const CERTIFICATE = new RegExp(
  '^((CERT|CRL|UNABLE_TO|ERROR_IN_(CERT|CRL)|DEPTH_ZERO|SELF_SIGNED)_' +
    '|(HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)$)',
);
/** No TLS with who answered. The other codes of Node's, and OpenSSL's of a context, are of an option that is wrong. */
const HANDSHAKE =
  /^ERR_(TLS_(CERT_ALTNAME|DH_PARAM_SIZE|HANDSHAKE_TIMEOUT)|SSL_(?!NO_CIPHER_MATCH$|NO_PROTOCOLS_AVAILABLE$))/;
/** No way through a SOCKS proxy, by undici: its own codes, and what it was told of the connection behind it. */
const SOCKS = /^UND_ERR_SOCKS5(_|$)/;
const BROKEN = [GARBLED, CERTIFICATE, HANDSHAKE, SOCKS];

/** A code may be anything, a Symbol too, which is no text. */
const matches = (pattern, code) => typeof code === 'string' && pattern.test(code);

const isWrongArgument = (code) => matches(WRONG_ARGUMENT, code);
const isUnmade = (code) => isWrongArgument(code) || matches(UNMADE, code);
const isUnreached = (code) => UNREACHED.has(code);
const isFailure = (code) => FAILED.has(code) || BROKEN.some((pattern) => matches(pattern, code));

module.exports = { isFailure, isUnmade, isUnreached, isWrongArgument, matches };
