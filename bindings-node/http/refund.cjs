'use strict';

const check = require('../lib/check.cjs');
const { complain, isPromise } = require('../lib/promise.cjs');

/**
 * Gives back, once the answer is out, what its status says was not meant to count (a login that worked). An answer that
 * is cut off keeps its charge, and so does one whose `refundOn` fails: the answer is out, so nobody but the log can be
 * told.
 */
function refundLater(charges, exchange) {
  const back = charges.filter(({ limit }) => limit.refundOn !== undefined);
  if (back.length === 0) return;
  const response = exchange.rawResponse;
  response?.once?.('finish', () => {
    for (const charge of back) refund(charge, response.statusCode, exchange.request);
  });
}

function refund(charge, status, request) {
  const failed = (error) => complain('refundOn failed, and the charge is kept', error);
  const settle = (answer) => {
    if (check.holds(answer, 'refundOn')) charge.giveBack();
  };
  try {
    const answer = charge.limit.refundOn(status, request);
    if (isPromise(answer)) Promise.resolve(answer).then(settle).catch(failed);
    else settle(answer);
  } catch (error) {
    failed(error);
  }
}

module.exports = { refundLater };
