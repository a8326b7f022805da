'use strict';

const { Module, Scope } = require('@nestjs/common');
const { APP_FILTER, APP_GUARD } = require('@nestjs/core');
const { entries } = require('../http/options.cjs');
const check = require('../lib/check.cjs');
const { TidegateExceptionFilter } = require('./filter.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { TidegateRegistry } = require('./registry.cjs');
const { TIDEGATE_OPTIONS, asked, getBoundedQueueToken, getBreakerToken, getConcurrencyLimiterToken } = require('./tokens.cjs');

const SOURCES = ['useFactory', 'useClass', 'useExisting'];

/** `true`: ours; a class: that one; `false`: none. */
function global(token, value, ours) {
  if (value === false) return [];
  return [{ provide: token, useClass: value === true ? ours : check.callable(value, 'guard and filter') }];
}

/**
 * Providers of the breakers, queues and concurrency limiters that the options name, and of those that some class asks for. The latter are
 * transient: made when they are injected, so that a name which only another application knows does no harm here.
 */
function named(configured) {
  const provider = (kind, token, find) => (name) => ({
    provide: token(name),
    useFactory: (registry) => registry[find](name),
    inject: [TidegateRegistry],
    ...(configured[kind].includes(name) ? {} : { scope: Scope.TRANSIENT }),
  });
  const names = (kind) => [...new Set([...configured[kind], ...asked[kind]])];
  return [
    ...names('breakers').map(provider('breakers', getBreakerToken, 'breaker')),
    ...names('queues').map(provider('queues', getBoundedQueueToken, 'queue')),
    ...names('concurrency').map(provider('concurrency', getConcurrencyLimiterToken, 'concurrencyLimiter')),
  ];
}

function dynamicModule({ guard = true, filter = true, imports = [] }, sources, options = {}) {
  const names = (option) => entries(options[option], option).map(([name]) => name);
  const configured = { breakers: names('breakers'), queues: names('queues'), concurrency: names('concurrency') };
  const registry = {
    provide: TidegateRegistry,
    useFactory: (options) => new TidegateRegistry(options),
    inject: [TIDEGATE_OPTIONS],
  };
  const fixed = [
    ...sources,
    registry,
    TidegateGuard,
    TidegateExceptionFilter,
    ...global(APP_GUARD, guard, TidegateGuard),
    ...global(APP_FILTER, filter, TidegateExceptionFilter),
  ];
  return {
    module: TidegateModule,
    global: true,
    imports,
    // Read when the application starts: see `asked`.
    get providers() {
      return [...fixed, ...named(configured)];
    },
    get exports() {
      return [TidegateRegistry, TidegateGuard, TidegateExceptionFilter, ...named(configured).map(({ provide }) => provide)];
    },
  };
}

class TidegateModule {
  static forRoot(options = {}) {
    const { guard, filter, ...rest } = options;
    return dynamicModule({ guard, filter }, [{ provide: TIDEGATE_OPTIONS, useValue: rest }], rest);
  }

  static forRootAsync(options) {
    const known = ['imports', 'inject', 'guard', 'filter', ...SOURCES];
    const { imports, inject = [], guard, filter, ...source } = check.options(options, 'forRootAsync', known);
    const { useFactory, useClass, useExisting } = source;
    if (SOURCES.filter((name) => source[name] !== undefined).length !== 1) {
      throw check.valueError(`forRootAsync takes exactly one of ${SOURCES.join(', ')}`);
    }
    if (useFactory !== undefined) {
      return dynamicModule({ guard, filter, imports }, [{ provide: TIDEGATE_OPTIONS, useFactory, inject }]);
    }
    const fromClass = {
      provide: TIDEGATE_OPTIONS,
      useFactory: (factory) => factory.createTidegateOptions(),
      inject: [useExisting ?? useClass],
    };
    return dynamicModule({ guard, filter, imports }, useClass === undefined ? [fromClass] : [useClass, fromClass]);
  }
}
Module({})(TidegateModule);

module.exports = { TidegateModule };
