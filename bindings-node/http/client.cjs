'use strict';
// Who the client is: its address as a key, and what the allow and deny lists say of it.

const { AccessList, ClientAddress } = require('../lib/http.cjs');

class Clients {
  #addresses;
  #lists;
  /** Where a socket keeps its key, as long as no header can change it. */
  #cached = Symbol('tidegate.client');
  #isTold = false;

  constructor({ client = {}, allow, deny }) {
    this.#addresses = new ClientAddress(client);
    this.#lists = allow === undefined && deny === undefined ? undefined : new AccessList({ allow, deny });
  }

  get readsHeaders() {
    return this.#addresses.header !== undefined;
  }

  /** The client's address as a key; `peer` stands for the socket where there is none. */
  key(request, peer) {
    const socket = (request?.raw ?? request)?.socket;
    if (peer !== undefined || socket === undefined || this.#addresses.header !== undefined) {
      return this.#told(this.#addresses.key(...this.#seen(request, peer)), socket);
    }
    return (socket[this.#cached] ??= this.#told(this.#addresses.key(socket.remoteAddress), socket));
  }

  /** The client's address, `undefined` where it has none. */
  address(request, peer) {
    return this.#addresses.address(...this.#seen(request, peer));
  }

  /** Who has no address shares a key with all who have none: said once. A client that is gone has none either. */
  #told(key, socket) {
    if (key === '' && socket?.destroyed === false && !this.#isTold) {
      this.#isTold = true;
      process.emitWarning(
        "the server's clients have no address, as on a Unix socket, and share one key; where a proxy stands in front " +
          "of it say client: { trusted: ['unix'] }, else give a key function",
        { type: 'TidegateWarning' },
      );
    }
    return key;
  }

  /** What the lists say: 'limit', 'allow' or 'deny'. A key that is listed counts for more than any address. */
  verdict({ request, peer }, charges) {
    if (this.#lists === undefined) return 'limit';
    const address = this.address(request, peer);
    const byAddress = this.#lists.verdict(address);
    const byKey = charges
      .filter(({ key }) => key !== undefined)
      .map(({ key }) => this.#lists.verdict(address, key))
      .filter((verdict) => verdict !== byAddress);
    return byKey.includes('deny') ? 'deny' : (byKey[0] ?? byAddress);
  }

  #seen(request, peer) {
    const raw = request?.raw ?? request;
    const { header } = this.#addresses;
    return [peer ?? raw?.socket?.remoteAddress, header === undefined ? undefined : raw?.headers?.[header]];
  }
}

module.exports = { Clients };
