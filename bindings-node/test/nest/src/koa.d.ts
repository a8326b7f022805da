// Koa's types need others of a version that Koa itself does not have.
declare module 'koa';
