'use strict';

/** A first-in-first-out ring that grows by doubling: an Array's shift() moves every item once it is long. */
class Ring {
  #slots = new Array(16);
  #head = 0;
  length = 0;

  push(item) {
    if (this.length === this.#slots.length) {
      this.#slots = [...this.#slots.slice(this.#head), ...this.#slots.slice(0, this.#head), ...new Array(this.length)];
      this.#head = 0;
    }
    this.#slots[(this.#head + this.length) & (this.#slots.length - 1)] = item;
    this.length += 1;
  }

  shift() {
    const item = this.#slots[this.#head];
    // Or the ring would keep it alive.
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.length -= 1;
    return item;
  }
}

module.exports = { Ring };
