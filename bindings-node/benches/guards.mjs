// What the applications share: 100 a minute for each of 10,000 users, told apart by a header.
import { Injectable } from '@nestjs/common';

/** Whose request it is, for those who call it so. */
export const tracker = (request) => request.headers['x-user-id'];

export const LIMIT = { rate: '100/minute', key: tracker, maxKeys: 20_000 };

export const HEADERS = [
  ['RateLimit-Policy', '"default";q=100;w=60'],
  ['RateLimit', '"default";r=99;t=1'],
];

/** The floor: what any guard costs that sets such headers. */
export class NoOpGuard {
  canActivate(context) {
    const reply = context.switchToHttp().getResponse();
    for (const [name, value] of HEADERS) reply.header(name, value);
    return true;
  }
}
Injectable()(NoOpGuard);
