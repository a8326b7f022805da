'use strict';
// Whose request it is, and who is never or always refused: the core's answers (core/src/http).

const { addon, words, numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { asKey } = require('./key.cjs');

const { clientAddress, accessList } = addon;

/** In the order of src/http.rs. */
const VERDICTS = ['limit', 'allow', 'deny'];

/** A copy of an array of texts: native code reads it, and no getter may run meanwhile. */
function texts(value, name) {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw check.typeError(`${name} must be an array of texts, got ${check.show(value)}`);
  return value.map((entry) => {
    if (typeof entry !== 'string')
      throw check.typeError(`${name} must be an array of texts, and holds ${check.show(entry)}`);
    return entry;
  });
}

function text(value, name) {
  if (typeof value !== 'string') throw check.typeError(`${name} must be a string, got ${check.show(value)}`);
  return value;
}

/**
 * The client of a request: the socket's peer, unless that is a proxy you trust; then one forwarding header is read from
 * the right, up to the first address that is not trusted.
 */
class ClientAddress {
  #place;
  #header;

  constructor(options = {}) {
    const known = ['trusted', 'header', 'ipv4Prefix', 'ipv6Prefix'];
    const {
      trusted,
      header = 'x-forwarded-for',
      ipv4Prefix = 32,
      ipv6Prefix = 64,
    } = check.options(options, 'ClientAddress', known);
    const proxies = texts(trusted, 'trusted');
    text(header, 'header');
    numbers[0] = check.whole(ipv4Prefix, 'ipv4Prefix', 1, 32);
    numbers[1] = check.whole(ipv6Prefix, 'ipv6Prefix', 1, 128);
    clientAddress.create(this, proxies, header);
    this.#place = words[0];
    this.#header = clientAddress.header();
  }

  /** The header whose lines the methods want, in lower case; undefined where no proxy is trusted and none is read. */
  get header() {
    return this.#header;
  }

  /**
   * The key, '192.0.2.1' or '2001:db8::/64'. A peer without an address is its own key, an absent one the empty key.
   * `lines` is the header's value, or its lines in the order in which they came.
   */
  key(peer, lines) {
    const [own, joined] = this.#request(peer, lines);
    return clientAddress.key(own, joined) ?? own;
  }

  /** The address; undefined where the client has none. */
  address(peer, lines) {
    return clientAddress.address(...this.#request(peer, lines));
  }

  #request(peer, lines) {
    const own = peer === undefined ? '' : text(peer, 'peer');
    const joined = lines === undefined ? '' : typeof lines === 'string' ? lines : texts(lines, 'lines').join('\n');
    words[0] = this.#place;
    return [own, joined];
  }
}

/**
 * Entries that allow and entries that deny: addresses, networks, and exact keys written 'key:…'; the most specific
 * decides.
 */
let placeOf;

class AccessList {
  #place;

  static {
    placeOf = (self) => self.#place;
  }

  constructor(options = {}) {
    const { allow, deny } = check.options(options, 'AccessList', ['allow', 'deny']);
    accessList.create(this, texts(allow, 'allow'), texts(deny, 'deny'));
    this.#place = words[0];
  }

  /** 'allow', 'deny', or 'limit' where neither list has an entry for this client. No address lies in no network. */
  verdict(address, key = '') {
    const where = address === undefined ? '' : text(address, 'address');
    const who = asKey(key);
    words[0] = this.#place;
    accessList.verdict(where, who);
    return VERDICTS[words[1]];
  }
}

module.exports = { AccessList, ClientAddress, listPlace: (list) => placeOf(list) };
