'use strict';
// What is held for a moment is watched by nobody: to have it finalized costs more than to take and end it. What lasts
// longer than that is told to its owner, who has it finalized.

const SOON_MS = 1000;

const due = new Set();

/** Calls `age()` once, in a second or so; keeps no process alive. */
function watchOver(age) {
  if (due.size === 0) {
    setTimeout(() => {
      const all = [...due];
      due.clear();
      all.forEach((one) => one());
    }, SOON_MS).unref();
  }
  due.add(age);
}

module.exports = { watchOver };
