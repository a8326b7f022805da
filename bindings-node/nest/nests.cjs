'use strict';
// Nest's own names for what its decorators leave on methods and classes.

const HANDLERS = [
  'path',
  'websockets:message_mapping',
  'microservices:pattern',
  'graphql:resolver_type',
  'graphql:resolve_property',
];

module.exports = {
  /** Whether Nest calls a method, by what stands over it. */
  isHandler: (method) => HANDLERS.some((name) => Reflect.hasMetadata(name, method)),
  /** The guards over a method or class. */
  GUARDS: '__guards__',
  /** Methods that take messages of sockets … */
  SOCKETS: 'websockets:message_mapping',
  /** … and of microservices. */
  MESSAGES: 'microservices:pattern',
};
