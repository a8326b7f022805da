'use strict';
// What is asked and answered, whatever the framework: Express's and Node's own objects, Fastify's, or a call without
// HTTP.

const { keyOf } = require('../lib/key.cjs');
const { giveBackAll } = require('./charge.cjs');
const { isNobody } = require('./keys.cjs');

/** On the object that stands for one request: what it has been charged for, so that nobody charges it again. */
const CHARGED = Symbol('tidegate.charged');
/** On the same: by which gates it was let in, outermost first. */
const ADMISSIONS = Symbol('tidegate.admissions');

class Exchange {
  #clients;
  #clientKey;

  /** Where it belongs in a concurrency limit, by its route's word. */
  partition = undefined;
  /** Whether somebody tells when it is over: not of a call without HTTP. */
  isHeard = true;

  /**
   * @param clients who knows clients by their requests
   * @param request the framework's request; also of a call without HTTP, where there is one
   * @param response the framework's response, undefined where there is none
   * @param context what key, cost, tier and skip functions get beside the request
   * @param identity one object for one request, whoever looks at it
   * @param peer the other end's address, where the request has no socket
   */
  constructor(clients, request, response, context, identity = request?.raw ?? request, peer = undefined) {
    this.#clients = clients;
    this.request = request;
    this.response = response;
    this.context = context;
    this.identity = identity;
    this.peer = peer;
  }

  /** The client's address as a key. */
  get clientKey() {
    return (this.#clientKey ??= this.#clients.key(this.request, this.peer));
  }

  /** Who the client is by the application's word. */
  set clientKey(key) {
    this.#clientKey = key;
  }

  /** The client's address, `undefined` where it has none. */
  get address() {
    return this.#clients.address(this.request, this.peer);
  }

  get charged() {
    return this.identity[CHARGED];
  }

  set charged(charges) {
    this.identity[CHARGED] = charges;
  }

  /** Whether this gate has let the request in before. */
  isAdmittedBy(gate) {
    return this.identity[ADMISSIONS]?.some((admission) => admission.gate === gate) === true;
  }

  /** A gate lets the request in: handlers find it at the request. */
  admittedBy(admission) {
    (this.identity[ADMISSIONS] ??= []).push(admission);
    if (typeof this.request === 'object' && this.request !== null) this.request.admission = admission;
  }

  /** The request is refused: what it was charged so far comes back. */
  uncharge() {
    const { charged } = this;
    if (charged === undefined) return;
    giveBackAll(charged);
    this.charged = undefined;
  }

  /** Node's own request, which has the socket and the headers as they came. */
  get rawRequest() {
    return this.request?.raw ?? this.request?.req ?? this.request;
  }

  /** Node's own response. */
  get rawResponse() {
    return this.response?.raw ?? this.response;
  }

  /** Whether somebody else has begun to answer (a timeout, while a key was looked up): then nothing can be added. */
  get answered() {
    return this.rawResponse?.headersSent === true;
  }

  /** Express has Node's own setHeader, a Fastify reply does not. */
  setHeader(name, value) {
    const { response } = this;
    if (this.answered) return;
    if (typeof response?.setHeader === 'function') response.setHeader(name, value);
    else if (typeof response?.header === 'function') response.header(name, value);
  }

  /** What the gate that was asked last for this request says of it. */
  static admissionOf(identity) {
    return identity?.[ADMISSIONS]?.at(-1);
  }

  /** A key that a function gave: text, bytes or a number; `undefined` where it named nobody. */
  static key(value) {
    if (isNobody(value)) return undefined;
    return keyOf(value, 'what a key function returns');
  }
}

module.exports = { Exchange };
