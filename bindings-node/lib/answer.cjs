'use strict';
// Answers of handlers that need no framework: `node:http`, Express and Fastify.

/** Answers with what stands now, which nobody keeps. */
function tell(request, response, status, type, body, headers = {}) {
  // Fastify's reply has Node's response in `raw`, and would wait for an answer of its own.
  const raw = response.raw ?? response;
  if (raw !== response && typeof response.hijack === 'function') response.hijack();
  const length = Buffer.byteLength(body);
  raw.writeHead(status, { 'Content-Type': type, 'Content-Length': length, 'Cache-Control': 'no-store', ...headers });
  raw.end(request.method === 'HEAD' ? undefined : body);
}

module.exports = { tell };
