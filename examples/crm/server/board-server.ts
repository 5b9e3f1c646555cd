import { createReadStream, existsSync, realpathSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { COMPANIES } from './companies.ts';
import { HttpError, readJson, type Running, sendJson, serve } from './http.ts';

export type BoardOptions = {
  /** The built page. */
  readonly directory: string;
  readonly port: number;
  /** Millrace's GraphQL address for WebSockets, as the browser reaches it. */
  readonly wsUrl: string;
  /** Millrace's GraphQL address for people: the link to GraphiQL. */
  readonly graphqlUrl: string;
  /** Signs a development token; refused by anything but a Millrace in dev mode. */
  readonly issueToken: (claims: { readonly tenant: string; readonly user: string }) => Promise<string>;
};

const TYPES = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
  ['.json', 'application/json; charset=utf-8'],
]);

/**
 * Serves the board and, in place of a real sign-in, hands a development token to whoever picks a name. That is why it listens on
 * loopback only and answers to no other host name (a web page elsewhere could otherwise fetch tokens by DNS rebinding).
 */
export function serveBoard(options: BoardOptions): Promise<Running> {
  return serve(options.port, async (request, response) => {
    refuseStrangers(request);
    const { pathname } = new URL(request.url ?? '/', 'http://board');
    if (pathname === '/config.json') return sendJson(response, 200, configOf(options));
    if (pathname === '/token' && request.method === 'POST') return sendToken(request, response, options);
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new HttpError(405, 'only GET here');
    sendFile(response, options.directory, pathname === '/' ? '/index.html' : pathname);
  });
}

function refuseStrangers(request: IncomingMessage): void {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (host !== '127.0.0.1' && host !== 'localhost' && host !== '[::1]') throw new HttpError(403, 'only on this machine');
}

function configOf({ wsUrl, graphqlUrl }: BoardOptions) {
  const people = COMPANIES.flatMap((company) => company.users.map((user) => ({ ...user, tenant: company.id, company: company.name })));
  return { wsUrl, graphqlUrl, people };
}

async function sendToken(request: IncomingMessage, response: ServerResponse, options: BoardOptions): Promise<void> {
  // A body of this type cannot be sent from another origin without a preflight, which this server does not answer.
  if (request.headers['content-type'] !== 'application/json') throw new HttpError(415, 'application/json is expected');
  const { user } = await readJson(request);
  const company = COMPANIES.find((c) => c.users.some((u) => u.id === user));
  if (!company) throw new HttpError(404, `nobody is called "${String(user)}"`);
  sendJson(response, 200, { token: await options.issueToken({ tenant: company.id, user: String(user) }) });
}

function sendFile(response: ServerResponse, directory: string, pathname: string): void {
  const root = existsSync(directory) ? realpathSync(directory) : directory;
  const path = normalize(join(root, decodeURIComponent(pathname)));
  if (!path.startsWith(root + sep) || !TYPES.has(extname(path)) || !existsSync(path)) throw new HttpError(404, notFound(root));
  // Names of built assets carry a digest of their content; the page itself does not.
  const cache = pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  response.writeHead(200, { 'content-type': TYPES.get(extname(path)), 'cache-control': cache, 'x-content-type-options': 'nosniff' });
  createReadStream(path).pipe(response);
}

function notFound(root: string): string {
  return existsSync(join(root, 'index.html')) ? 'not found' : 'the board is not built: npm run build -w @millrace/example-crm';
}
