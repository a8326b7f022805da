import type { FastifyPluginAsync } from 'fastify';
import type { TidegateFastifyOptions } from './index.js';

export * from './index.js';

declare const tidegate: FastifyPluginAsync<TidegateFastifyOptions>;
export default tidegate;
