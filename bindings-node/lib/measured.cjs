'use strict';
// The classes whose counts a scrape reads, and how each is read.

const { addon } = require('./native.cjs');

const KINDS = [];

/** Says that instances of `Class` count; `select` names one to the addon. */
function measured(Class, kind, select) {
  KINDS.push({ Class, read: addon.measured[kind].read, select });
}

/** What is known of the class of an object that counts. */
const kindOf = (object) => KINDS.find(({ Class }) => object instanceof Class);

const names = () => KINDS.map(({ Class }) => Class.name);

module.exports = { kindOf, measured, names };
