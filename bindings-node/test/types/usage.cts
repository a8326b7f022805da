// The same package from CommonJS.
import tidegate = require('tidegate');

const bucket: tidegate.TokenBucket = new tidegate.TokenBucket({ rate: 5 });
export const allowed: boolean = bucket.tryAcquire();
