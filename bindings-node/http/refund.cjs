'use strict';

/**
 * Gives back, once the answer is out, what its status says was not meant to count (a login that worked). An answer that
 * is cut off keeps its charge.
 */
function refundLater(charges, exchange) {
  const back = charges.filter(({ limit }) => limit.refundOn !== undefined);
  if (back.length === 0) return;
  const response = exchange.rawResponse;
  response?.once?.('finish', () => {
    for (const charge of back) {
      if (charge.limit.refundOn(response.statusCode, exchange.request) === true) charge.giveBack();
    }
  });
}

module.exports = { refundLater };
