import { Injectable } from '@nestjs/common';
import { openSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

const COMMIT_MS = 2; // 500 writes a second

interface Write {
  line: string;
  done: () => void;
  failed: (error: unknown) => void;
}

/**
 * A store that takes 500 writes a second: one writer, one commit every 2 ms, in order, appended to the ledger file.
 *
 * The bytes are really written. The 2 ms stand for the commit of a busy database, because this machine's own disk
 * might do it in 0.02 or in 20, and the demo must mean the same everywhere. An id is written once: a retry of an
 * order gets the outcome of its first write.
 */
@Injectable()
export class Store {
  private readonly ledger = openSync(process.env.LEDGER ?? 'ledger.txt', 'a');
  private readonly known = new Map<string, Promise<void>>();
  private waiting: Write[] = [];
  private busy = false;

  pay(id: string, cents: number): Promise<void> {
    const earlier = this.known.get(id);
    if (earlier) return earlier;
    const write = new Promise<void>((done, failed) => {
      this.waiting.push({ line: `${id} ${cents}`, done, failed });
    });
    this.known.set(id, write);
    // A write that failed was not paid: the next try may write it.
    write.catch(() => this.known.delete(id));
    if (!this.busy) void this.commitAll();
    return write;
  }

  /** Commits until nobody waits. Slots are absolute, so a late timer costs no rate. */
  private async commitAll(): Promise<void> {
    this.busy = true;
    let slot = performance.now();
    while (this.waiting.length > 0) {
      slot += COMMIT_MS;
      await sleepUntil(slot);
      const due = 1 + Math.max(0, Math.floor((performance.now() - slot) / COMMIT_MS));
      const batch = this.waiting.splice(0, due);
      slot += (batch.length - 1) * COMMIT_MS;
      try {
        writeSync(this.ledger, batch.map(({ line }) => `${line} ${Date.now()}\n`).join(''));
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.busy = false;
  }
}

function sleepUntil(when: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, when - performance.now()));
}
