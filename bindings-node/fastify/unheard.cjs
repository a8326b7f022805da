'use strict';
// Routes that differ only in their constraints, and that no hook has told us of.

/** A line of printRoutes: where in the tree, the end of the URL, its methods, its constraints. */
const LINE = /^([│├└─ ]*)(.*?) \(([A-Z, -]+)\)(?: \{.*\})?$/;
/** Columns of a level of the tree. */
const LEVEL = 4;

/** Of each method and URL with several routes, `GET /orders`, that is not in `heard`. */
function unheard(fastify, heard) {
  const ends = [];
  const counts = new Map();
  for (const line of fastify.printRoutes({ commonPrefix: false }).split('\n')) {
    const indent = /^[│├└─ ]*/.exec(line)[0].length;
    const [, , end = line.slice(indent), methods = ''] = LINE.exec(line) ?? [];
    ends.length = indent / LEVEL;
    ends.push(end);
    for (const method of methods.split(', ').filter(Boolean)) {
      const route = `${method} ${ends.join('')}`;
      counts.set(route, (counts.get(route) ?? 0) + 1);
    }
  }
  return new Set([...counts].filter(([route, count]) => count > 1 && !heard.has(route)).map(([route]) => route));
}

module.exports = { unheard };
