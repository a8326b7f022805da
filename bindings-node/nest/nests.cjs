'use strict';
// Nest's own names for what its decorators leave on methods and classes.

module.exports = {
  /** The guards over a method or class. */
  GUARDS: '__guards__',
  /** Methods that take messages of sockets … */
  SOCKETS: 'websockets:message_mapping',
  /** … and of microservices. */
  MESSAGES: 'microservices:pattern',
};
