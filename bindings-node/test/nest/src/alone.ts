// Handlers whose clients have gone are waited for 300 ms in place of ten seconds.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const load = createRequire(join(process.cwd(), 'package.json'));
load(join(dirname(load.resolve('tidegate')), 'http', 'concurrency.cjs')).alone.mostMs = 300;
