'use strict';

const isPromise = (value) => typeof value?.then === 'function';

/** `then(value)` at once, or once a promise has come true: what is sync stays sync. */
const whenReady = (value, then) => (isPromise(value) ? value.then(then) : then(value));

module.exports = { isPromise, whenReady };
