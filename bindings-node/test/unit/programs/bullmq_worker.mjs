// bullmq_worker.mjs SOCKET QUEUE: takes jobs that it never ends, and says so; to be killed.
import { Worker } from 'bullmq';
import { ConcurrencyLimiter } from '../../../index.mjs';
import { Pacing } from '../../../bullmq/index.mjs';

const [path, name] = process.argv.slice(2);
const pacing = new Pacing({ limiter: new ConcurrencyLimiter({ limit: 8 }) });
const take = pacing.processor(async (job) => {
  process.send(job.data);
  await new Promise(() => {});
});
pacing.attach(new Worker(name, take, { connection: { path }, lockDuration: 500, stalledInterval: 200 }));
