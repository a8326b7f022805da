'use strict';
// What console.log and JSON.stringify show of an object: its name, its settings and how it stands.

const check = require('./check.cjs');

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * Defines both on `Class`. `look(self)` gives the fields; those that are undefined are left out. Inspecting never
 * throws: what is no instance (the prototype, as a debugger meets it) has no fields.
 */
function shown(Class, look) {
  const fields = (self) => Object.fromEntries(Object.entries(look(self)).filter(([, value]) => value !== undefined));
  const define = (key, value) =>
    Object.defineProperty(Class.prototype, key, { value, writable: true, configurable: true });
  define('toJSON', function toJSON() {
    if (!(this instanceof Class)) throw check.detached(Class.name, 'toJSON');
    return fields(this);
  });
  define(INSPECT, function inspect(depth, options, inspector) {
    const name = this?.constructor?.name ?? Class.name;
    if (depth < 0) return `[${name}]`;
    let seen = {};
    try {
      seen = fields(this);
    } catch {
      // No instance.
    }
    return `${name} ${inspector(seen, options)}`;
  });
}

module.exports = { shown };
