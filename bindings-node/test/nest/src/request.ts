// Real HTTP, and what came back.
export interface Answer {
  status: number;
  text: string;
  get(name: string): string | null;
  json(): any;
}
export type Request = (
  path: string,
  method?: string,
  headers?: Record<string, string>,
  body?: string,
) => Promise<Answer>;

export const requester =
  (url: string): Request =>
  async (path, method = 'GET', headers = {}, body = undefined) => {
    const response = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    return { status: response.status, text, get: (name) => response.headers.get(name), json: () => JSON.parse(text) };
  };

/** The statuses of `count` requests, one after the other. */
export async function statuses(
  request: Request,
  path: string,
  count: number,
  ...rest: [string?, Record<string, string>?]
) {
  const seen: number[] = [];
  for (let i = 0; i < count; i += 1) seen.push((await request(path, ...rest)).status);
  return seen;
}

/** A GraphQL query over HTTP: the answer, and its body. */
export async function graphql(request: Request, query: string, headers: Record<string, string> = {}) {
  const types = { 'content-type': 'application/json' };
  const answer = await request('/graphql', 'POST', { ...types, ...headers }, JSON.stringify({ query }));
  return { ...answer, body: answer.json() };
}
