'use strict';
// A body that tells what becomes of it.

/** Nobody has it any more, and it was not read to its end: the connection and the permit go back. */
const forgotten = new FinalizationRegistry(({ reader, end }) => {
  end.abandoned();
  reader.cancel().catch(() => {});
});

/**
 * Whether it hands the memory of its chunks over. Only what such a stream gave may be put into another: a chunk of any
 * other may be a part of node's buffer pool, which would be gone for everybody.
 */
function ownsMemory(body) {
  try {
    body.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

/** `body`, a web stream of bytes, as one that tells `end` once: `ended()`, `failed(error)` or `abandoned()`. */
function followed(body, end) {
  const type = ownsMemory(body) ? 'bytes' : undefined;
  const reader = body.getReader();
  const source = {
    type,
    async pull(controller) {
      for (;;) {
        let chunk;
        try {
          chunk = await reader.read();
        } catch (error) {
          end.failed(error);
          throw error;
        }
        if (chunk.done) {
          end.ended();
          controller.close();
          controller.byobRequest?.respond(0);
          return;
        }
        // A stream of bytes takes no empty chunk.
        if (chunk.value.byteLength !== 0) return controller.enqueue(chunk.value);
      }
    },
    cancel(reason) {
      end.abandoned();
      return reader.cancel(reason);
    },
  };
  // Reads nothing ahead.
  const stream = new ReadableStream(source, { highWaterMark: 0 });
  forgotten.register(stream, { reader, end });
  return stream;
}

module.exports = { followed };
