'use strict';

const { addon, words, numbers } = require('./native.cjs');
const check = require('./check.cjs');
const { BREAKER, OPTIONS, breakerOf, classifying, overdueOf, settingsOf, writeSettings } = require('./breaker.cjs');
const { asKey } = require('./key.cjs');
const { measured } = require('./measured.cjs');
const { PLACE, create } = require('./scope.cjs');
const { SETTINGS, number } = require('./settings.cjs');
const { shown } = require('./show.cjs');
const counted = require('./stats.cjs');

const { registry } = addon;

const { max_breakers: MAX } = SETTINGS.registry;
const CHOICES = [...new Set([MAX.name, 'overrides', ...OPTIONS, ...PLACE, 'clock'])];
/** How the addon tells a breaker; src/registry.rs has the same. */
const KNOWN = 0;
const NEW = 1;
const SHARED = 2;

/** The instances of breakers of registries, by their place in the addon's table: places are used again. */
const instances = new Map();
const forget = new FinalizationRegistry(({ id, ref }) => {
  if (instances.get(id) === ref) instances.delete(id);
});

/** Patterns and their settings, checked as far as it can be done here. */
function overridesOf(overrides) {
  if (overrides === undefined) return [];
  if (overrides === null || typeof overrides !== 'object' || Array.isArray(overrides)) {
    throw check.typeError(`overrides must be an object of patterns and their settings, got ${check.show(overrides)}`);
  }
  const checked = (pattern, settings) => settingsOf(settings, `overrides['${pattern}']`);
  return Object.entries(overrides).map(([pattern, settings]) => [pattern, checked(pattern, settings)]);
}

/** As `change` in src/registry.rs reads them. */
function writeChanges(settings) {
  const overdue = overdueOf(settings.countOverdue);
  writeSettings(settings, true);
  numbers[BREAKER.length + 1] = overdue;
}

let select;

class BreakerRegistry {
  /** Its place in the addon's table. */
  #id;
  #classifying;
  #overflow;

  static {
    select = (self, method) => {
      if (self === null || typeof self !== 'object' || !(#id in self)) throw check.detached('BreakerRegistry', method);
      words[0] = self.#id;
    };
  }

  constructor(options = {}) {
    const given = check.options(options, 'new BreakerRegistry', CHOICES);
    this.#classifying = classifying(given);
    const most = number(MAX, given[MAX.name]);
    const overrides = overridesOf(given.overrides);
    registry.begin();
    for (const [pattern, settings] of overrides) {
      writeChanges(settings);
      registry.override(pattern);
    }
    writeSettings(given);
    numbers[BREAKER.length] = most;
    numbers[BREAKER.length + 1] = this.#classifying.countsOverdue ? 1 : 0;
    this.#id = create(registry.create, this, given).id;
  }

  get(key) {
    const known = asKey(key);
    select(this, 'get');
    registry.get(known);
    return this.#told();
  }

  peek(key) {
    const known = asKey(key);
    select(this, 'peek');
    registry.peek(known);
    return this.#told();
  }

  /** The one instance of the breaker that the addon told, as long as anybody has it. */
  #told() {
    const how = words[1];
    if (how === SHARED) return this.overflow;
    if (how !== KNOWN && how !== NEW) return null;
    const found = how === KNOWN ? instances.get(words[2])?.deref() : undefined;
    if (found !== undefined) return found;
    const made = breakerOf(this.#classifying, (instance) => {
      select(this, 'get');
      const name = registry.take(instance);
      return { id: words[0], name };
    });
    const ref = new WeakRef(made.breaker);
    instances.set(made.id, ref);
    forget.register(made.breaker, { id: made.id, ref });
    return made.breaker;
  }

  get overflow() {
    select(this, 'overflow');
    this.#overflow ??= breakerOf(this.#classifying, (instance) => {
      const name = registry.takeOverflow(instance);
      return { id: words[0], name };
    }).breaker;
    return this.#overflow;
  }

  has(key) {
    const known = asKey(key);
    select(this, 'has');
    registry.peek(known);
    return words[1] === KNOWN || words[1] === NEW;
  }

  remove(key) {
    const known = asKey(key);
    select(this, 'remove');
    registry.remove(known);
    return words[1] === 1;
  }

  items() {
    select(this, 'items');
    registry.list();
    return Array.from({ length: words[1] }, (_, i) => {
      select(this, 'items');
      numbers[0] = i;
      const key = registry.item();
      return [typeof key === 'string' ? key : Uint8Array.from(key), this.#told()];
    });
  }

  setConfig(pattern, changes) {
    const known = asKey(pattern, 'pattern');
    writeChanges(settingsOf(changes, 'setConfig'));
    select(this, 'setConfig');
    registry.setConfig(known);
  }

  get size() {
    return this.stats().breakers;
  }

  stats() {
    select(this, 'stats');
    registry.stats();
    return counted.registry(numbers);
  }
}

shown(BreakerRegistry, (it) => it.stats());

measured(BreakerRegistry, 'registry', (self) => select(self, 'add'));

module.exports = { BreakerRegistry };
