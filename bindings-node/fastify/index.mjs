// The same objects as require('tidegate/fastify').
import tidegate from './index.cjs';

export default tidegate;
export const { admit, clientIp, firstOf, header, route, user } = tidegate;
