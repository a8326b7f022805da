'use strict';

const { isIPv6 } = require('node:net');

/** The first four groups of an IPv6 address: the network that one customer gets (RFC 6177 gives at least a /64). */
function network(address) {
  const [head, tail] = address.split('%')[0].split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? [] : tail.split(':');
    while (groups.length + rest.length < 8) groups.push('0');
    groups.push(...rest);
  }
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** Whose request it is, by address: IPv4 as it is (also where it comes mapped into IPv6), IPv6 by its /64. */
function clientKey(address) {
  if (typeof address !== 'string') return '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1];
  return isIPv6(address) ? network(address) : address;
}

module.exports = { clientKey };
