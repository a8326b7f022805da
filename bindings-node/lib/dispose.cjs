'use strict';

/** `using` and `await using` call `release()` at the end of their block, where this Node has the symbols. */
function disposable(Class) {
  const define = (symbol, value) => {
    if (symbol !== undefined)
      Object.defineProperty(Class.prototype, symbol, { value, writable: true, configurable: true });
  };
  define(Symbol.dispose, function () {
    this.release();
  });
  define(Symbol.asyncDispose, async function () {
    this.release();
  });
}

module.exports = { disposable };
