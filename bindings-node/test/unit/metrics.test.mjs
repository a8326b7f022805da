import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import {
  BoundedQueue,
  BreakerRegistry,
  CircuitBreaker,
  ClientThrottle,
  ClusterLimit,
  ConcurrencyLimiter,
  Gate,
  LimitSet,
  LoadShedder,
  Metrics,
  Policy,
  RateLimiter,
  RetryBudget,
  TokenBucket,
} from 'tidegate';
import { instrument } from 'tidegate/opentelemetry';
import { register } from 'tidegate/prom-client';
import { fresh, ownDirectory, skip } from './arenas.mjs';

ownDirectory();

function everything() {
  const bucket = new TokenBucket({ rate: '1/hour' });
  assert.deepEqual([bucket.tryAcquire(), bucket.tryAcquire()], [true, false]);
  const breaker = new CircuitBreaker('payment');
  breaker.forceOpen();
  const queue = new BoundedQueue({ capacity: 2 });
  queue.tryPush(1);
  const gate = new Gate('orders');
  assert.deepEqual([gate.admit().finish(), gate.admit({ deadlineMs: 0 }).allowed], [true, false]);
  return new Metrics({ policy: Policy.parse('version = 1') })
    .add(gate)
    .add(bucket, { name: 'everyone' })
    .add(new RateLimiter({ rate: '1/hour' }), { name: 'client' })
    .add(new ConcurrencyLimiter({ limit: 2 }), { name: 'database' })
    .add(ConcurrencyLimiter.adaptive(), { name: 'search' })
    .add(breaker)
    .add(new BreakerRegistry(), { name: 'hosts' })
    .add(new RetryBudget(), { name: 'payment' })
    .add(new ClientThrottle(), { name: 'payment' })
    .add(new LoadShedder({ signals: ['loopLag'] }), { name: 'main' })
    .add(new ClusterLimit({ rate: '2/s', scope: 'process:metrics', name: 'door' }))
    .add(queue, { name: 'a "quoted" \\ name\n' });
}

function value(metrics, family, labels) {
  const { samples } = metrics.families().find(({ name }) => name === family);
  const found = samples.filter((sample) => Object.entries(labels).every(([key, text]) => sample.labels[key] === text));
  assert.equal(found.length, 1, JSON.stringify({ family, labels, samples }));
  return found[0].value;
}

describe('Metrics', () => {
  it('tells what each kind counted', () => {
    const metrics = everything();
    const decided = { scope: 'process', kind: 'token_bucket', name: 'everyone' };
    assert.equal(value(metrics, 'tidegate_decisions', { ...decided, decision: 'admitted' }), 1);
    assert.equal(value(metrics, 'tidegate_decisions', { ...decided, decision: 'denied' }), 1);
    assert.equal(value(metrics, 'tidegate_decisions', { kind: 'gate', name: 'orders', decision: 'admitted' }), 1);
    assert.equal(value(metrics, 'tidegate_gate_denied', { name: 'orders', part: 'deadline' }), 1);
    assert.equal(value(metrics, 'tidegate_breaker_state', { name: 'payment', state: 'forced_open' }), 1);
    assert.equal(value(metrics, 'tidegate_queue_depth', { queue: 'a "quoted" \\ name\n' }), 1);
    assert.equal(value(metrics, 'tidegate_pressure', { name: 'main', signal: 'loop_lag' }), 0);
    assert.match(metrics.render(), /tidegate_queue_depth\{scope="process",queue="a \\"quoted\\" \\\\ name\\n"\} 1/);
    assert.match(metrics.render('openmetrics'), /# TYPE tidegate_decisions counter\n[^]*# EOF\n$/);
  });

  it('is what promtool takes', (test) => {
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: everything().render(), encoding: 'utf8' });
    if (checked.error?.code === 'ENOENT') return test.skip('no promtool (Debian: apt-get install prometheus)');
    assert.deepEqual([checked.status, checked.stdout + checked.stderr], [0, '']);
  });

  it('answers over HTTP in the format that is asked for', async () => {
    const server = createServer(everything().handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${server.address().port}/metrics`;
    try {
      const plain = await fetch(url);
      assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
      const body = await plain.text();
      assert.match(body, /^# HELP tidegate_decisions_total/);
      const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
      const open = await fetch(url, { headers: { accept } });
      assert.match(open.headers.get('content-type'), /^application\/openmetrics-text; version=1.0.0/);
      const head = await fetch(url, { method: 'HEAD' });
      assert.deepEqual([head.headers.get('content-length'), await head.text()], [String(body.length), '']);
      assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    } finally {
      server.close();
    }
  });

  it('tells any worker of the whole host', { skip }, () => {
    const scope = `host:${fresh()}`;
    const code = `const { TokenBucket } = require('tidegate');
      const bucket = new TokenBucket({ rate: '1000000/hour', scope: process.argv[1], name: 'everyone' });
      for (let n = 0; n < Number(process.argv[2]); n += 1) bucket.tryAcquire();`;
    for (const count of ['300', '700']) {
      const run = spawnSync(process.execPath, ['-e', code, scope, count], { encoding: 'utf8' });
      assert.equal(run.status, 0, run.stderr);
    }
    const metrics = new Metrics({ scope });
    metrics.add(new TokenBucket({ rate: '1000000/hour', scope, name: 'everyone' }), { name: 'another name' });
    assert.equal(value(metrics, 'tidegate_decisions', { scope, name: 'everyone', decision: 'admitted' }), 1000);
  });

  it('stands in a registry of prom-client', async () => {
    for (const type of [Registry.PROMETHEUS_CONTENT_TYPE, Registry.OPENMETRICS_CONTENT_TYPE]) {
      const registry = new Registry(type);
      const metrics = everything();
      register(registry, metrics);
      const page = await registry.metrics();
      const own = metrics.render(type === Registry.OPENMETRICS_CONTENT_TYPE ? 'openmetrics' : 'prometheus');
      const lines = (text) => new Set(text.split('\n').filter((line) => line !== ''));
      assert.deepEqual(lines(page), lines(own));
    }
    assert.throws(() => register({}, new Metrics()), { name: 'TypeError', message: /registry must be a Registry/ });
    assert.throws(() => register(new Registry(), {}), { name: 'TypeError', message: /metrics must be a Metrics/ });
  });

  it('stands in the instruments of OpenTelemetry', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ readers: [reader] });
    const metrics = everything();
    instrument(provider.getMeter('orders'), metrics);
    await reader.forceFlush();
    const told = exporter.getMetrics()[0].scopeMetrics[0].metrics;
    const names = told.filter(({ dataPoints }) => dataPoints.length > 0).map(({ descriptor }) => descriptor.name);
    assert.deepEqual(
      names.map((name) => name.replace('tidegate.', 'tidegate_')),
      metrics.families().map(({ name }) => name),
    );
    const decisions = told.find(({ descriptor }) => descriptor.name === 'tidegate.decisions').dataPoints;
    const of = ({ attributes }) => attributes.name === 'everyone' && attributes.decision === 'admitted';
    assert.deepEqual(decisions.filter(of).map((point) => point.value), [1]);
    await provider.shutdown();
    assert.throws(() => instrument(undefined, metrics), { name: 'TypeError', message: /meter must be a Meter/ });
  });

  it('checks names and kinds when they are added', () => {
    const metrics = new Metrics();
    const bucket = new TokenBucket({ rate: '1/s' });
    const argument = { name: 'RangeError', code: 'ERR_INVALID_ARG_VALUE' };
    const nameless = /^name: this TokenBucket has none for its label/;
    assert.throws(() => metrics.add(bucket), { ...argument, message: nameless });
    metrics.add(bucket, { name: 'orders' }).add(bucket, { name: 'orders' });
    metrics.add(new RateLimiter({ rate: '1/s' }), { name: 'orders' });
    assert.throws(() => metrics.add(new TokenBucket({ rate: '1/s' }), { name: 'orders' }), {
      ...argument,
      message: "name: 'orders' is the name of another TokenBucket here; each needs one of its own",
    });
    const set = new LimitSet({ user: new RateLimiter({ rate: '1/s' }) });
    for (const wrong of [set, null, undefined, 'orders', TokenBucket, {}])
      assert.throws(() => metrics.add(wrong), { name: 'TypeError', message: /^object must be one of TokenBucket, / });
    assert.throws(() => metrics.add(bucket, { name: 3 }), { name: 'TypeError', message: /^name must be / });
    assert.throws(() => metrics.add(bucket, { name: '' }), { ...argument, message: /^name: must not be empty/ });
    assert.throws(() => metrics.render('xml'), { ...argument, message: /^format: "xml" is none of/ });
    assert.throws(() => Metrics.prototype.render.call({}), { name: 'TypeError' });
    assert.deepEqual(JSON.parse(JSON.stringify(metrics)), { objects: ['TokenBucket orders', 'RateLimiter orders'] });
  });

  it('makes no series of keys', () => {
    const limiter = new RateLimiter({ rate: '5/s' });
    const metrics = new Metrics().add(limiter, { name: 'client' });
    const lines = () => metrics.render().split('\n').length;
    const before = lines();
    for (let key = 0; key < 100_000; key += 1) limiter.tryAcquire(String(key));
    assert.equal(lines(), before);
  });
});
