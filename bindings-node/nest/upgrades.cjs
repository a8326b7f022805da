'use strict';
// The requests that opened the sockets: `ws` keeps none, and only they tell whose address a proxy forwards.

const requests = new WeakMap();

/**
 * Remembers them from now on. A server without a listener answers such requests as any other, and one of ours would
 * hang them; so only where somebody listens.
 */
function rememberUpgrades(server) {
  if (!(server?.listenerCount?.('upgrade') > 0)) return;
  server.prependListener('upgrade', (request, socket) => void requests.set(socket, request));
}

/** The request that opened `socket`, undefined where its server is not the application's own. */
const upgradeOf = (socket) => (socket === undefined ? undefined : requests.get(socket));

module.exports = { rememberUpgrades, upgradeOf };
