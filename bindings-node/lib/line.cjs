'use strict';

/** A line in which each has `before` and `after`, so that whoever stands anywhere can leave it at once. */
class Line {
  #first;
  #last;
  length = 0;

  /** Whether it stands here, or in another line: nobody stands in two. */
  static has(one) {
    return one.isInLine === true;
  }

  push(one) {
    one.before = this.#last;
    one.after = undefined;
    if (this.#last === undefined) this.#first = one;
    else this.#last.after = one;
    this.#last = one;
    this.#enter(one, 1);
  }

  unshift(one) {
    one.before = undefined;
    one.after = this.#first;
    if (this.#first === undefined) this.#last = one;
    else this.#first.before = one;
    this.#first = one;
    this.#enter(one, 1);
  }

  remove(one) {
    if (one.before === undefined) this.#first = one.after;
    else one.before.after = one.after;
    if (one.after === undefined) this.#last = one.before;
    else one.after.before = one.before;
    one.before = undefined;
    one.after = undefined;
    this.#enter(one, -1);
    return one;
  }

  shift() {
    return this.#first === undefined ? undefined : this.remove(this.#first);
  }

  *[Symbol.iterator]() {
    for (let one = this.#first; one !== undefined;) {
      // Before it is given: it may leave.
      const { after } = one;
      yield one;
      one = after;
    }
  }

  #enter(one, change) {
    one.isInLine = change > 0;
    this.length += change;
  }
}

module.exports = { Line };
