// Handlers whose clients have gone are waited for 300 ms in place of ten seconds, and an onRefused that hangs 0.9 s.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const load = createRequire(join(process.cwd(), 'package.json'));
const ours = (file: string) => load(join(dirname(load.resolve('tidegate')), 'http', file));
ours('held.cjs').alone.mostMs = 300;
ours('refused.cjs').patience.stallMs = 900;
