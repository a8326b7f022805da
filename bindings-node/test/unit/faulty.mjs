// A server over real sockets that fails as it is told, and clients beside it whose moments are to be believed.
import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * Answers each request as `fault.act` says: "200", another status, "slow" (after `takes_ms`), "hang", "reset" (RST), or
 * "reset body" (RST after half of a body). `asked` counts the requests.
 */
export async function faulty() {
  const server = { asked: 0, fault: { act: '200' } };
  const http = createServer((request, response) => {
    server.asked += 1;
    const { act, takes_ms } = server.fault;
    if (act === 'hang') return;
    if (act === 'reset') return request.socket.resetAndDestroy();
    if (act === 'slow') return setTimeout(() => response.end('done'), takes_ms);
    if (act === 'reset body') {
      response.writeHead(200, { 'content-length': 10 }).write('half-');
      // What was written has to leave before: a reset drops it.
      return setTimeout(() => request.socket.resetAndDestroy(), 50);
    }
    response.writeHead(Number(act)).end('done');
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  server.url = `http://127.0.0.1:${http.address().port}/`;
  server.close = () => {
    http.close();
    http.closeAllConnections();
  };
  return server;
}

/** A process that stood still for so long made slow what was quick: what it saw says nothing. */
const STALL_MS = 100;

/** Runs `scene(server)`, again where it failed and the event loop stood still; skips where it always did. */
export async function undisturbed(t, scene) {
  for (let turn = 0; turn < 5; turn++) {
    let [worst, before] = [0, performance.now()];
    const beat = setInterval(() => {
      const now = performance.now();
      worst = Math.max(worst, now - before - 10);
      before = now;
    }, 10);
    const server = await faulty();
    try {
      return await scene(server);
    } catch (error) {
      if (worst < STALL_MS) throw error;
    } finally {
      clearInterval(beat);
      server.close();
    }
  }
  t.skip('this machine is too busy: it stood still each time');
}
