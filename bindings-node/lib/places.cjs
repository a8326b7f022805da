'use strict';

/** Items at numbered places: the core holds the numbers. Places that are free again are taken first. */
class Places {
  #items = [];
  #free = [];

  /** The place of the next item that is put. */
  get next() {
    const { length } = this.#free;
    return length > 0 ? this.#free[length - 1] : this.#items.length;
  }

  put(item) {
    if (this.#free.length > 0) this.#items[this.#free.pop()] = item;
    else this.#items.push(item);
  }

  take(place) {
    const item = this.#items[place];
    // Or the place would keep it alive.
    this.#items[place] = undefined;
    this.#free.push(place);
    return item;
  }
}

module.exports = { Places };
