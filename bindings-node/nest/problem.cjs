'use strict';
// The words of a refusal: Retry-After (RFC 9110, 10.2.3), problem bodies (RFC 9457 with the problem types of
// draft-ietf-httpapi-ratelimit-headers), and how to set them on Express's and Fastify's responses.

const TYPES = 'https://iana.org/assignments/http-problem-types#';
/** What a client is told where the answer is "never", or "when somebody resets it". */
const LONGEST_RETRY_AFTER = '3600';

/** Whole seconds, rounded up, at least 1. */
const retryAfterSeconds = (ms) => (ms < Infinity ? String(Math.max(1, Math.ceil(ms / 1000))) : LONGEST_RETRY_AFTER);

/** 429: a quota is used up. */
const limited = (policy) => ({
  type: `${TYPES}quota-exceeded`,
  title: 'Request cannot be satisfied as assigned quota has been exceeded',
  status: 429,
  detail: 'Too many requests; Retry-After tells when to come back.',
  'violated-policies': [policy],
});

/** 503 or as configured: an open circuit, a full queue. */
const overloaded = (status) => ({
  type: `${TYPES}temporary-reduced-capacity`,
  title: 'Request cannot be satisfied due to temporary server capacity constraints',
  status,
  detail: 'The service is protecting itself; Retry-After tells when to come back.',
});

/** Express has Node's own setHeader, a Fastify reply does not. */
function setHeader(response, name, value) {
  if (typeof response.setHeader === 'function') response.setHeader(name, value);
  else response.header(name, value);
}

const setRetryAfter = (response, ms) => setHeader(response, 'Retry-After', retryAfterSeconds(ms));

module.exports = { limited, overloaded, setHeader, setRetryAfter };
