'use strict';

const { Inject, Module, Optional, Scope } = require('@nestjs/common');
const {
  APP_FILTER,
  APP_GUARD,
  APP_INTERCEPTOR,
  HttpAdapterHost,
  ModuleRef,
  ModulesContainer,
} = require('@nestjs/core');
const check = require('../lib/check.cjs');
const { TidegateExplorer } = require('./explorer.cjs');
const { NestsOwnAnswers, TidegateExceptionFilter } = require('./filter.cjs');
const { asLast } = require('./filtered.cjs');
const { TidegateGuard } = require('./guard.cjs');
const { GuardPlace, guardOf } = require('./override.cjs');
const { namesOf } = require('./policy.cjs');
const { TidegateInterceptor } = require('./refusals.cjs');
const { TidegateRegistry } = require('./registry.cjs');
const { isOurClass } = require('./unguarded.cjs');
const {
  TIDEGATE_OPTIONS,
  asked,
  getBoundedQueueToken,
  getBreakerToken,
  getConcurrencyLimiterToken,
  getGateToken,
} = require('./tokens.cjs');

const SOURCES = ['useFactory', 'useClass', 'useExisting'];

/** `true`: ours; a class: that one; `false`: none. Whichever it is, tests override it by the token of ours. */
function globalGuard(value) {
  const ours = {
    provide: TidegateGuard,
    useFactory: (modules, registry) => guardOf(modules, () => new TidegateGuard(registry)),
    inject: [ModulesContainer, TidegateRegistry],
  };
  if (value === false) return [ours];
  if (value === true || value === TidegateGuard) return [ours, { provide: APP_GUARD, useExisting: TidegateGuard }];
  if (!isOurClass(check.callable(value, 'guard (a class, true or false)'))) {
    throw check.typeError(
      `guard must be a subclass of TidegateGuard, true or false, got ${check.show(value)}, which would limit ` +
        'nothing; other guards are given to Nest by APP_GUARD',
    );
  }
  if (isPerRequest(value, 'guard')) return [ours, { provide: APP_GUARD, useClass: value }];
  const theirs = {
    provide: TidegateGuard,
    useFactory: (modules, guard) => guardOf(modules, () => guard),
    inject: [ModulesContainer, value],
  };
  return [value, theirs, { provide: APP_GUARD, useExisting: TidegateGuard }];
}

/** A refusal that no filter of the application takes is answered, whichever is chosen. */
function globalFilter(value) {
  const ours = TidegateExceptionFilter;
  const behind = (make, ...inject) => {
    const useFactory = (...given) => asLast(make(...given));
    return { provide: APP_FILTER, useFactory, inject };
  };
  if (value === false) {
    return [ours, behind((registry, host) => new NestsOwnAnswers(registry, host), TidegateRegistry, HttpAdapterHost)];
  }
  if (value === true || value === ours) return [ours, behind((filter) => filter, ours)];
  // For refusals that theirs does not catch.
  const last = behind((registry) => new ours(registry), TidegateRegistry);
  if (isPerRequest(value, 'filter')) return [ours, last, { provide: APP_FILTER, useClass: value }];
  return [value, last, { provide: ours, useExisting: value }, { provide: APP_FILTER, useExisting: ours }];
}

/** A class that Nest makes for each request cannot stand behind another token. */
const isPerRequest = (value, option) =>
  Reflect.getMetadata('scope:options', check.callable(value, `${option} (a class, true or false)`))?.scope ===
  Scope.REQUEST;

const KINDS = [
  ['breakers', getBreakerToken, 'breaker'],
  ['queues', getBoundedQueueToken, 'queue'],
  ['concurrency', getConcurrencyLimiterToken, 'concurrencyLimiter'],
  ['gates', getGateToken, 'gate'],
];

/** Of each kind and name one, since Nest reads the list more than once. */
const factories = new Map();
function finder(kind, find, name) {
  const key = `${kind}:${name}`;
  if (!factories.has(key)) factories.set(key, (registry) => registry[find](name));
  return factories.get(key);
}

/**
 * Providers of the breakers, queues, concurrency limiters and gates that the options name, and of those that some class
 * asks for. The latter are transient: made when they are injected, so that a name which only another application knows
 * does no harm here.
 */
function named(configured) {
  return KINDS.flatMap(([kind, token, find]) =>
    [...new Set([...configured[kind], ...asked[kind]])].map((name) => ({
      provide: token(name),
      useFactory: finder(kind, find, name),
      inject: [TidegateRegistry],
      ...(configured[kind].includes(name) ? {} : { scope: Scope.TRANSIENT }),
    })),
  );
}

/**
 * Once a factory has told the options: gives each name the provider that it would have had, for `app.get` as well. What
 * a test has put in its place stays.
 */
function provideNames(registry, modules) {
  const { names } = registry;
  for (const module of modules.values()) {
    if (module.metatype !== TidegateModule) continue;
    for (const [kind, token, find] of KINDS) {
      for (const name of names[kind]) {
        const provide = token(name);
        const there = module.providers.get(provide);
        if (there !== undefined) continue;
        module.addProvider({ provide, useValue: registry[find](name) });
        module.addExportedProviderOrModule(provide);
      }
    }
  }
}

/**
 * Those that some class has asked for were transient until all classes were made; now they are what they are for
 * everybody.
 */
function settleNames(registry, modules) {
  for (const module of modules.values()) {
    if (module.metatype !== TidegateModule) continue;
    for (const [kind, token, find] of KINDS) {
      for (const name of registry.names?.[kind] ?? []) {
        const there = module.providers.get(token(name));
        if (there?.scope === Scope.TRANSIENT && there.metatype === finder(kind, find, name)) {
          there.mergeWith({ provide: token(name), useValue: registry[find](name) });
        }
      }
    }
  }
}

/** A misspelt key of a configuration, or a forgotten `return`, would limit nothing in silence. */
function ofFactory(options) {
  if (options !== undefined && options !== null) return options;
  throw check.typeError(
    `forRootAsync: its factory must give an object of options, got ${check.show(options)}, with which nothing would ` +
      'be limited; {} where that is meant',
  );
}

function dynamicModule({ guard = true, filter = true, imports = [] }, sources, options = undefined) {
  const configured = Object.fromEntries(KINDS.map(([kind]) => [kind, namesOf(options ?? {}, kind)]));
  const registry = {
    provide: TidegateRegistry,
    useFactory: (given, modules) => {
      if (options === undefined) given = ofFactory(given);
      const made = new TidegateRegistry(given);
      if (options === undefined) provideNames(made, modules);
      return made;
    },
    inject: [TIDEGATE_OPTIONS, ModulesContainer],
  };
  const fixed = [
    ...sources,
    registry,
    {
      provide: TidegateExplorer,
      useFactory: (modules, made, host, interceptor, { container }) => {
        const around = { host, config: container?.applicationConfig, interceptor, isGlobal: guard !== false };
        return new TidegateExplorer(modules, made, () => settleNames(made, modules), around);
      },
      inject: [ModulesContainer, TidegateRegistry, HttpAdapterHost, TidegateInterceptor, ModuleRef],
    },
    TidegateInterceptor,
    GuardPlace,
    ...globalGuard(guard),
    ...globalFilter(filter),
    { provide: APP_INTERCEPTOR, useExisting: TidegateInterceptor },
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
      return [
        TidegateRegistry,
        TidegateGuard,
        TidegateExceptionFilter,
        TidegateInterceptor,
        ...named(configured).map(({ provide }) => provide),
      ];
    },
  };
}

class TidegateModule {
  #explorer;

  constructor(explorer) {
    if (explorer === undefined) {
      throw check.valueError('TidegateModule: import what forRoot() or forRootAsync(…) gives, not the class itself');
    }
    this.#explorer = explorer;
  }

  /** Nest asks for middleware here: when all instances are made, and before it makes routes. */
  configure() {
    this.#explorer.beforeRoutes();
  }

  static forRoot(...given) {
    const [options = {}] = given;
    if (given.length > 0 && (given[0] === undefined || given[0] === null)) {
      throw check.typeError(
        `forRoot: options must be an object, got ${check.show(given[0])}, with which nothing would be limited; ` +
          'forRoot() where that is meant',
      );
    }
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
Optional()(TidegateModule, undefined, 0);
Inject(TidegateExplorer)(TidegateModule, undefined, 0);

module.exports = { TidegateModule };
