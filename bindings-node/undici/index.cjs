'use strict';

const { Guard, OPTIONS } = require('../client/guard.cjs');
const { Call } = require('./call.cjs');
const check = require('../lib/check.cjs');

function guardedInterceptor(options = {}) {
  const guard = new Guard(check.options(options, 'guardedInterceptor', OPTIONS));
  return (dispatch) =>
    function guarded(opts, handler) {
      const call = new Call(dispatch, opts, handler);
      guard.call(call.request, call).then(
        (answer) => answer.deliver(),
        (error) => call.fail(error),
      );
      return true;
    };
}

module.exports = { guardedInterceptor };
