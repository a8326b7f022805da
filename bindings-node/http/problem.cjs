'use strict';
// The words of a refusal: Retry-After (RFC 9110, 10.2.3), problem bodies (RFC 9457 with the problem types of
// draft-ietf-httpapi-ratelimit-headers).

const TYPES = 'https://iana.org/assignments/http-problem-types#';
/** What a client is told where the answer is "never", or "when somebody resets it". */
const LONGEST_RETRY_AFTER = 3600;
const CONTENT_TYPE = 'application/problem+json';

/** Whole seconds, rounded up, at least 1. */
const retryAfterSeconds = (ms) => (ms < Infinity ? Math.max(1, Math.ceil(ms / 1000)) : LONGEST_RETRY_AFTER);

const WHEN = 'Retry-After tells when to come back.';

/** 429: a quota is used up. `who` refused what, by which quota, where the client may know. */
const limited = (policies, who = undefined) => ({
  type: `${TYPES}quota-exceeded`,
  title: 'Request cannot be satisfied as assigned quota has been exceeded',
  status: 429,
  detail: `${who ?? 'Too many requests'}; ${WHEN}`,
  'violated-policies': policies,
});

/** 403: the client is on a deny list. */
const forbidden = () => ({
  type: 'about:blank',
  title: 'Forbidden',
  status: 403,
  detail: 'This client is not served.',
});

/** 503 or as configured: an open circuit, a full queue. */
const overloaded = (status) => ({
  type: `${TYPES}temporary-reduced-capacity`,
  title: 'Request cannot be satisfied due to temporary server capacity constraints',
  status,
  detail: `The service is protecting itself; ${WHEN}`,
});

/** 504: what the request needs did not answer in time. */
const timedOut = () => ({
  type: 'about:blank',
  title: 'Gateway Timeout',
  status: 504,
  detail: 'What this request needs did not answer in time.',
});

/** 500: a mistake of ours or of the application, of which a client needs to know no more. */
const failed = () => ({ type: 'about:blank', title: 'Internal Server Error', status: 500 });

/** The body of a Refusal; of a gate's it names the part. */
function problemOf({ policies, overloaded: isOverloaded, detail, kind, deniedBy }, overloadStatus = 503) {
  if (policies.length > 0) return limited(policies, detail);
  const problem = kind === 'deadline' ? timedOut() : isOverloaded ? overloaded(overloadStatus) : forbidden();
  return deniedBy === undefined ? problem : { ...problem, 'violated-policies': [deniedBy] };
}

module.exports = { CONTENT_TYPE, failed, forbidden, limited, overloaded, problemOf, retryAfterSeconds, timedOut };
