// A process that does what it is told, for tests of what processes share.
import * as tidegate from 'tidegate';

const kept = {};
process.on('message', async (code) => {
  try {
    process.send({ value: await new Function('tidegate', 'kept', code)(tidegate, kept) });
  } catch ({ name, code, kind, message }) {
    process.send({ error: message, name, code, kind });
  }
});
process.on('disconnect', () => process.exit());
process.send({ value: 'ready' });
