'use strict';
// What the HTTP clients share: one call as its breaker, throttle and retry policy see it.

const { CircuitBreaker, ClientThrottle, Deadline, RetryBudget, RetryPolicy } = require('../index.cjs');
const { isTimeUp } = require('../lib/abort.cjs');
const { acquireFor, classified, ownClassifier, settled, succeeded } = require('../lib/breaker.cjs');
const check = require('../lib/check.cjs');
const { answerOf, http, isClassifier } = require('../lib/classify.cjs');
const { RetryBudgetExceededError, isRefusal, unmade } = require('../lib/errors.cjs');
const { DISCARD, discard } = require('../lib/discard.cjs');
const { REFUSES, pay, retriesResults, withBudget } = require('../lib/retry.cjs');

const OPTIONS = ['breaker', 'retry', 'budget', 'throttle', 'key', 'outcomeAt', 'classifier', 'deadlineHeader'];
const TIMES = ['headers', 'body'];

/** An answer that says by its status that the call failed, as an error: for predicates that are asked about errors. */
class Answered extends Error {
  constructor(answer) {
    super(`the answer has the status ${answer.status}`);
    this.name = 'AnsweredError';
    this.status = answer.status;
    this.response = answer;
  }

  [DISCARD]() {
    discard(this.response);
  }
}

/**
 * The caller's own end of a call, by a signal with whatever reason or by a mistake: says nothing of the dependency. Its
 * name is what breaker, throttle and retry policy know that by.
 */
class Neutral extends Error {
  constructor(reason) {
    super('ended by the caller');
    this.name = 'AbortError';
    this.reason = reason;
  }
}

/** A client's error that does not say by itself that the dependency failed. */
class Lost extends Error {
  constructor(reason, code) {
    super(reason.message);
    this.code = code;
    this.reason = reason;
  }
}

/**
 * "One for all calls, or one for each key": a registry, a Map, a function. → a function of the key, undefined where
 * there is none for it.
 */
function oneOrEach(value, name, Class) {
  if (value === undefined) return () => undefined;
  if (value instanceof Class) return () => value;
  const wanted = `a ${Class.name}, or a function of the key or something with get(key) that gives one`;
  if (typeof value !== 'function' && typeof value?.get !== 'function')
    throw check.typeError(`${name} must be ${wanted}, got ${check.show(value)}`);
  return (key) => {
    const found = typeof value === 'function' ? value(key()) : value.get(key());
    if (found === undefined || found === null || found instanceof Class) return found ?? undefined;
    throw check.typeError(
      `${name}: what is given for a key must be a ${Class.name} or undefined, got ${check.show(found)}`,
    );
  };
}

function keyText(key) {
  if (typeof key === 'string' && key !== '') return key;
  throw check.typeError(`key must give a text that is not empty, got ${check.show(key)}`);
}

function verify({ retry, budget, key, outcomeAt, classifier, deadlineHeader }) {
  if (retry !== undefined && !(retry instanceof RetryPolicy)) {
    throw check.typeError(`retry must be a RetryPolicy, got ${check.show(retry)}`);
  }
  if (budget !== undefined) {
    if (retry === undefined) throw check.valueError('budget: without retry nothing is retried');
    if (retry.budget !== undefined) throw check.valueError('give budget here or to the RetryPolicy, not both');
  }
  if (key !== undefined) check.callable(key, 'key');
  if (outcomeAt !== undefined && !TIMES.includes(outcomeAt)) {
    throw check.valueError(`outcomeAt must be 'headers' or 'body', got ${check.show(outcomeAt)}`);
  }
  if (deadlineHeader !== undefined && deadlineHeader !== null) {
    if (check.text(deadlineHeader, 'deadlineHeader') === '') throw check.valueError("deadlineHeader must not be ''");
  }
  if (classifier !== undefined && !isClassifier(classifier)) {
    throw check.typeError(`classifier must be a Classifier, such as http(), got ${check.show(classifier)}`);
  }
}

class Guard {
  #breakerOf;
  #throttleOf;
  #budgetOf;
  #retry;
  #key;
  #classifier;
  #readsBody;
  #deadlineHeader;
  /** Of each budget the policy that withdraws from it. */
  #policies = new WeakMap();

  /** `options` as `check.options` copied them. */
  constructor(options) {
    verify(options);
    this.#breakerOf = oneOrEach(options.breaker, 'breaker', CircuitBreaker);
    this.#throttleOf = oneOrEach(options.throttle, 'throttle', ClientThrottle);
    this.#budgetOf = oneOrEach(options.budget, 'budget', RetryBudget);
    this.#retry = options.retry;
    this.#key = options.key;
    this.#classifier = options.classifier;
    this.#readsBody = options.outcomeAt !== 'headers';
    this.#deadlineHeader = options.deadlineHeader;
  }

  /**
   * Makes a call. `request` is `{ url, method, headers, isRepeatable, signal }`. `client.send(more)` makes one attempt,
   * with the headers `more` in place of its own, and resolves at the headers with an answer that has `status` and
   * `headers`; `client.follow(answer, end)` gives the answer that tells `end` what becomes of its body;
   * `client.isMistake(error)`, where there is one, says that no request was made.
   *
   * Rejects only with what the attempt or one of ours threw: an answer that is not retried is the result, whatever
   * ended the retries.
   */
  async call(request, client) {
    let key;
    const keyOf = () => (key ??= keyText(this.#key === undefined ? request.url?.host : this.#key(request)));
    const target = { breaker: this.#breakerOf(keyOf), throttle: this.#throttleOf(keyOf) };
    const policy = this.#policyOf(keyOf);
    try {
      return await this.#attempts(request, client, target, policy);
    } catch (error) {
      const isEmpty = error instanceof RetryBudgetExceededError;
      const last = isEmpty ? error.cause : error;
      if (last instanceof Answered) return last.response;
      if (!(last instanceof Neutral || last instanceof Lost)) {
        // A refusal of a later attempt: its cause is what the one before ended by.
        if (isRefusal(error) && error.cause instanceof Lost) error.cause = error.cause.reason;
        throw error;
      }
      if (!isEmpty) throw last.reason;
      error.cause = last.reason;
      throw error;
    }
  }

  #attempts(request, client, target, policy) {
    if (policy === undefined || !request.isRepeatable) {
      // Calls pay in, those that are never made twice as well.
      if (policy?.budget !== undefined) pay(policy.budget);
      return this.#attempt(request, client, target);
    }
    const { breaker } = target;
    const refuses = breaker === undefined ? undefined : (waitMs) => breaker.retryAfterMs > waitMs;
    const options = { signal: request.signal, [REFUSES]: refuses };
    if (retriesResults(policy)) {
      return policy.call(() => this.#attempt(request, client, target).catch(answerIn), options);
    }
    return policy.call(() => this.#attempt(request, client, target), options);
  }

  #policyOf(keyOf) {
    const budget = this.#retry === undefined ? undefined : this.#budgetOf(keyOf);
    if (budget === undefined) return this.#retry;
    let policy = this.#policies.get(budget);
    if (policy === undefined) this.#policies.set(budget, (policy = withBudget(this.#retry, budget)));
    return policy;
  }

  /** Rejects with Answered for a status from 400 on. */
  async #attempt({ signal }, client, { breaker, throttle }) {
    const more = this.#deadline();
    const classifier = this.#classifier ?? (breaker === undefined ? undefined : (ownClassifier(breaker) ?? http()));
    const permit = breaker === undefined ? undefined : acquireFor(breaker, classifier);
    const send = async () => {
      let answer;
      try {
        answer = await client.send(more);
      } catch (error) {
        throw isCancelled(signal) || client.isMistake?.(error) ? new Neutral(error) : error;
      }
      if (answer.status >= 400) throw new Answered(answer);
      return answer;
    };
    let answer;
    try {
      answer = await (throttle === undefined ? send() : throttle.call(send));
    } catch (error) {
      if (!(error instanceof Answered)) {
        if (permit !== undefined)
          report(
            permit,
            classifier,
            classified(permit, error, () => judgeError(classifier, error)),
          );
        throw error;
      }
      if (permit === undefined) throw error;
      throw new Answered(this.#judged(permit, classifier, error.response, client, signal));
    }
    return permit === undefined ? answer : this.#judged(permit, classifier, answer, client, signal);
  }

  /** What the server is told of the time that is left; `{}` where there is no end to it. */
  #deadline() {
    const deadline = Deadline.current;
    if (deadline === undefined) return {};
    if (deadline.expired) throw unmade('call timed out: its deadline had passed before it was sent');
    return this.#deadlineHeader === null ? {} : deadline.headers(this.#deadlineHeader);
  }

  /** A failure is known by its status; a success has a body to come, which can fail and takes its time. */
  #judged(permit, classifier, answer, client, signal) {
    let said;
    try {
      said = classified(permit, undefined, () => classifier.result(answer));
    } catch (thrown) {
      discard(answer);
      throw thrown;
    }
    if (!isFine(said) || !this.#readsBody) {
      report(permit, classifier, said);
      return answer;
    }
    const end = {
      ended: () => report(permit, classifier, said),
      failed(error) {
        if (isCancelled(signal)) return permit.release();
        // For undici and axios a timeout by a signal is an abort like any other once there is a body.
        const ended = signal?.aborted === true ? signal.reason : error;
        report(
          permit,
          classifier,
          classified(permit, error, () => judgeError(classifier, ended)),
        );
      },
      abandoned: () => permit.release(),
    };
    try {
      return client.follow(answer, end);
    } catch (thrown) {
      // Every permit is reported, or a probe stays taken.
      end.abandoned();
      throw thrown;
    }
  }
}

/**
 * Elsewhere an error that nobody names is an answer of the dependency's. Here one would have come as an answer: this
 * one says nothing, and closes no circuit.
 */
function judgeError(classifier, error) {
  const said = classifier.error(error);
  return isFine(said) && answerOf(error) === undefined ? { ...said, outcome: 'ignore' } : said;
}

/** The dependency did its work, at once or late: there is a body to come. */
const isFine = ({ outcome }) => outcome === 'success' || outcome === 'slow';

/** A success may be slow, which is known only when it is over. */
function report(permit, classifier, said) {
  if (said.outcome === 'success') succeeded(permit, classifier);
  else settled(permit, said);
}

/** A signal's own timeout speaks of the dependency; any other abort is the caller's. */
const isCancelled = (signal) => signal?.aborted === true && !isTimeUp(signal.reason);

const answerIn = (error) => {
  if (error instanceof Answered) return error.response;
  throw error;
};

module.exports = { Guard, Lost, OPTIONS };
