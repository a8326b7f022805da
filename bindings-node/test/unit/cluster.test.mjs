// A rate for many machines: two arenas are two machines, each with an agent of its own, and a real redis-server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ArenaError, ClusterLimit, HostScope, Metrics, TokenBucket } from 'tidegate';
import { fresh, ownDirectory, skip, start, until } from './arenas.mjs';
import { startRedis } from './redis.mjs';

const directory = ownDirectory();
process.env.TIDEGATE_CAPACITY = '1M';
const RATE = 500;
const BURST = 250;
const root = fileURLToPath(new URL('../../../target', import.meta.url));
const program = ['release', 'debug'].map((one) => join(root, one, 'tidegate-agent')).find((one) => existsSync(one));
const redis = await startRedis();
if (redis.stop) after(() => redis.stop());
const unable = skip || redis.skip || (program === undefined && 'no tidegate-agent (cargo build -p tidegate-cluster)');

/** An agent of a machine, as its directory is; ended with the test. */
function agent(path, arena) {
  const env = { ...process.env, TIDEGATE_STORE: `redis+unix://${redis.path}` };
  const child = spawn(program, ['--path', path, '--arena', arena], { env, stdio: 'ignore' });
  after(() => child.kill('SIGKILL'));
  return child;
}

const make = (scope, more) =>
  new ClusterLimit({ rate: `${RATE}/s`, burst: BURST, name: 'door', enabled: true, scope, ...more });

/** Every window holds at most burst + rate × window if and only if this never stands above the burst. */
function meter(moments) {
  let [level, last, worst] = [0, 0, 0];
  for (const moment of moments.sort((one, other) => one - other)) {
    level = Math.max(0, level - (RATE * (moment - last)) / 1000) + 1;
    [last, worst] = [moment, Math.max(worst, level)];
  }
  return worst;
}

describe('a rate for many machines', () => {
  it('is obeyed by two machines together, while an agent is killed', { skip: unable }, async () => {
    const name = fresh();
    const paths = ['one', 'two'].map((one) => join(directory, one));
    const limits = paths.map((path) => make(new HostScope(name, { path })));
    const [first] = paths.map((path) => agent(path, name));
    await until(() => limits.every((limit) => limit.stats().tokens > 0));
    const other = await start();
    const theirs = other.run(`return (async () => {
      const scope = new tidegate.HostScope('${name}', { path: '${paths[0]}' });
      const door = new tidegate.ClusterLimit({
        rate: '${RATE}/s', burst: ${BURST}, name: 'door', enabled: true, scope,
      });
      const moments = [];
      for (const end = Date.now() + 3000; Date.now() < end; ) {
        for (let i = 0; i < 4; i += 1) {
          const at = performance.timeOrigin + performance.now();
          if (door.tryAcquire()) moments.push(at);
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return moments;
    })()`);
    const moments = [];
    let successor;
    for (const end = Date.now() + 3_000; Date.now() < end; ) {
      for (const limit of limits) {
        const at = performance.timeOrigin + performance.now();
        if (limit.tryAcquire()) moments.push(at);
      }
      if (successor === undefined && Date.now() > end - 2_000) {
        first.kill('SIGKILL');
        successor = agent(paths[0], name);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    moments.push(...(await theirs));
    await other.stop();
    assert.ok(meter(moments) <= BURST + 1, `${meter(moments)}`);
    assert.ok(moments.length > RATE, `they admit: ${moments.length}`);
    const stats = limits[0].stats();
    assert.ok(stats.granted >= stats.admitted && stats.epochs >= 1 && stats.refilled, JSON.stringify(stats));
  });

  it('is left to who spends by an agent that is stopped', { skip: unable }, async () => {
    const name = fresh();
    const limit = make(`cluster:${name}`, { leaseMs: 5_000, syncMs: 100 });
    const child = agent(directory, name);
    await until(() => limit.stats().tokens > 0);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.ok(limit.tryAcquire() && !limit.stats().refilled);
  });

  it('denies without an agent, and says why', { skip }, () => {
    const name = fresh();
    const limit = make(`cluster:${name}`);
    const denied = limit.check();
    assert.ok(!denied.allowed && denied.limit === BURST && denied.retryAfterMs > 0 && denied.retryAfterMs < 1_000);
    assert.equal(limit.check(BURST).retryAfterMs, Infinity, 'more than is ever leased');
    const { refilled, tokens, denied: count, fault } = limit.stats();
    assert.deepEqual([refilled, tokens, count], [false, 0, 2]);
    assert.match(fault, new RegExp(`tidegate agent --arena ${name}`));
    assert.match(limit.memberId, /^[0-9a-f]{32}$/);
    assert.deepEqual(limit.quota, { count: RATE, periodMs: 1000, burst: BURST });
    assert.equal(limit.utilisation, 1);
    assert.ok(make(`cluster:${name}`, { dryRun: true }).tryAcquire());
    const page = new Metrics({ scope: `host:${name}` }).render();
    assert.match(page, new RegExp(`tidegate_cluster_refilled\\{scope="host:${name}",name="door"\\} 0`));
  });

  it('says what is wrong', { skip }, () => {
    const scope = `cluster:${fresh()}`;
    make(scope);
    assert.throws(() => make(scope, { rate: '50/s' }), ArenaError);
    const says = (message, more) => assert.throws(() => make(scope, { name: 'other', ...more }), { message });
    says(/^scope: .*"cluster:NAME"/, { scope: 'process' });
    says(/^hosts: must be given/, { onUnreachable: 'local' });
    says(/^hosts: 3 are for/, { hosts: 3 });
    says(/^leaseMs: 100 ms is less than two syncs of 100 ms/, { leaseMs: 100, syncMs: 100 });
    says(/^burst: 1 leaves nothing to lease/, { burst: 1 });
    says(/^onUnreachable must be "deny" or "local", got 3/, { onUnreachable: 3 });
    assert.throws(() => new TokenBucket({ rate: '1/s', scope, name: 'bucket' }), /is for a ClusterLimit/);
  });
});
