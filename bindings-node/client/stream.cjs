'use strict';
// A body that tells what becomes of it.

/** Nobody has it any more, and it was not read to its end: the connection and the permit go back. */
const forgotten = new FinalizationRegistry(({ reader, end }) => {
  end.abandoned();
  reader.cancel().catch(() => {});
});

/** The chunk as it is, or a copy where its memory is not its own: a stream of bytes takes it over. */
function enqueue(controller, chunk) {
  try {
    controller.enqueue(chunk);
  } catch {
    controller.enqueue(new Uint8Array(chunk));
  }
}

/** `body`, a web stream of bytes, as one that tells `end` once: `ended()`, `failed(error)` or `abandoned()`. */
function followed(body, end) {
  const reader = body.getReader();
  const stream = new ReadableStream({
    type: 'bytes',
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
        if (chunk.value.byteLength > 0) return enqueue(controller, chunk.value);
      }
    },
    cancel(reason) {
      end.abandoned();
      return reader.cancel(reason);
    },
  });
  forgotten.register(stream, { reader, end });
  return stream;
}

module.exports = { followed };
