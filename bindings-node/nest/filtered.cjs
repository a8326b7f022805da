'use strict';
// Filters of the application's own, which come before ours: each gets a refusal as an HttpException, with Retry-After
// set. Whatever a guard, pipe, interceptor, handler or middleware of HTTP throws ends in a filter, and nowhere else.

const { httpException } = require('./exception.cjs');
const { NestsOwnAnswers, TidegateExceptionFilter } = require('./filter.cjs');
const { classesOf, methodsOf } = require('./marks.cjs');
const { LimitsNeedModule } = require('./presence.cjs');

/** Nest's own names: the filters over a class or method, and what a filter catches. */
const FILTERS = '__exceptionFilters__';
const CATCHES = '__filterCatchExceptions__';
const OURS = new Set(
  [TidegateExceptionFilter, NestsOwnAnswers, LimitsNeedModule].map(({ prototype }) => prototype.catch),
);
const translating = new WeakSet();
/** Filters that come after those of the application. */
const last = new WeakSet();
/** Of an exception that is made to ask what it is an instance of. */
const ANY_STATUS = 503;

/**
 * Has each filter catch what `translate(error, host)` gives. All instances are to be made by now, and no filter bound
 * to a route of HTTP.
 * @param config Nest's ApplicationConfig, undefined where it cannot be had
 * @returns whether all of them do
 */
function translateFilters(modules, config, translate) {
  let all = config !== undefined;
  for (const { filter, metatype } of filtersOf(modules, config)) {
    const [own, asked] = filter === undefined ? [metatype?.prototype, metatype] : [filter, filter.constructor];
    if (typeof own?.catch === 'function') all = translateIn(own, asked, filter === undefined, translate) && all;
    else if (filter === undefined) all = false;
  }
  return all;
}

/** `filter`, which is asked only when none of the application's takes a refusal: see `askLast`. */
function asLast(filter) {
  last.add(filter);
  return filter;
}

/**
 * Nest takes the filters of imported modules first, and those of a module that is imported later before these; whatever
 * the order of modules, an application's own are to come before ours.
 */
function askLast(config) {
  // The list itself: Nest asks it from its end, when it makes a route.
  config?.getGlobalFilters().sort((a, b) => last.has(b) - last.has(a));
}

/** As an instance, or as a class of which Nest makes one for each request. */
function* filtersOf(modules, config) {
  for (const filter of config?.getGlobalFilters() ?? []) yield { filter };
  for (const { metatype } of config?.getGlobalRequestFilters() ?? []) yield { metatype };
  for (const module of modules.values()) {
    for (const wrapper of module.injectables.values()) {
      const isOne = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
      if (isOne && typeof wrapper.instance?.catch === 'function') yield { filter: wrapper.instance };
      if (!isOne && typeof wrapper.metatype?.prototype?.catch === 'function') yield { metatype: wrapper.metatype };
    }
    for (const metatype of classesOf(module)) {
      for (const target of [metatype, ...methodsOf(metatype)]) {
        for (const filter of Reflect.getMetadata(FILTERS, target) ?? []) {
          if (typeof filter === 'object') yield { filter };
        }
      }
    }
  }
}

/** @param own the filter, or the prototype of its class */
function translateIn(own, type, isPrototype, translate) {
  const { catch: original } = own;
  if (OURS.has(original) || translating.has(own)) return true;
  const value = function catchTranslated(error, host, ...more) {
    return original.call(this, translate(error, host), host, ...more);
  };
  if (!Reflect.defineProperty(own, 'catch', { value, writable: true, configurable: true })) return false;
  translating.add(own);
  return catchToo(own, type, isPrototype);
}

/** Nest asks which filter catches an error as it was thrown; of a refusal it is to ask of the exception. */
function catchToo(own, type, isPrototype) {
  const before = isPrototype ? own : Object.getPrototypeOf(own);
  const caught = Reflect.getMetadata(CATCHES, before) ?? Reflect.getMetadata(CATCHES, type) ?? [];
  if (caught.length === 0) return true;
  const holds = (error) => caught.some((one) => error instanceof one);
  const types = [{ [Symbol.hasInstance]: (error) => holds(httpException(error, ANY_STATUS)) }];
  if (isPrototype) {
    Reflect.defineMetadata(CATCHES, types, own);
    Reflect.defineMetadata(CATCHES, types, type);
    return true;
  }
  // Of this instance alone: Nest reads it from the prototype, or from its constructor.
  const constructor = Object.setPrototypeOf(function () {}, type);
  Object.defineProperty(constructor, 'name', { value: type.name });
  const prototype = Object.create(before, { constructor: { value: constructor, writable: true, configurable: true } });
  Reflect.defineMetadata(CATCHES, types, prototype);
  Reflect.defineMetadata(CATCHES, types, constructor);
  return Reflect.setPrototypeOf(own, prototype);
}

module.exports = { asLast, askLast, translateFilters };
