import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator, Identity } from '../access/identity.ts';
import { demand, type Permission } from '../access/permissions.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import { registryErrors } from './errors.ts';
import type { Registry } from './registry.ts';
import { ReleaseWatch } from './release-watch.ts';
import { type Answer, matchRoute, type Route } from './rest-routes.ts';

export type RegistryHandlerOptions = {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
};

/** The HTTP API of the registry: mount `handle` as the request listener of a server. Normative: spec/registry-api.md. */
export interface RegistryHandler {
  handle(req: IncomingMessage, res: ServerResponse): void;
  /** From now on `GET /health` says `terminated`; running requests end by themselves, watchers are ended. */
  drain(): void;
}

export function createRegistryHandler(options: RegistryHandlerOptions): RegistryHandler {
  return new RestHandler(options);
}

class RestHandler implements RegistryHandler {
  readonly #registry: Registry;
  readonly #authenticator: Authenticator;
  readonly #watch: ReleaseWatch;
  #terminated = false;

  constructor({ registry, authenticator }: RegistryHandlerOptions) {
    this.#registry = registry;
    this.#authenticator = authenticator;
    this.#watch = new ReleaseWatch(registry);
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    // Put together, not resolved: `//host/path` is a path here, never another host.
    const url = URL.parse(`http://registry.invalid${req.url ?? '/'}`);
    const route = url ? matchRoute(req.method ?? 'GET', url.pathname) : null;
    res.once('finish', () => this.#registry.metrics.requests.inc({ path: route?.route.path ?? 'other', status: `${res.statusCode}` }));
    this.#answer(req, route, url)
      .then((answer) => this.#send(req, res, answer))
      .catch((thrown: unknown) => this.#fail(req, res, thrown));
  }

  drain(): void {
    this.#terminated = true;
    this.#watch.close();
  }

  async #answer(req: IncomingMessage, match: { route: Route; parameter: string } | null, url: URL | null): Promise<Answer> {
    if (match === null || url === null) return { kind: 'text', status: 404, text: 'Not found' };
    const { route, parameter } = match;
    if (route.kind === 'health') return this.#health();
    if (route.permission === null) return route.run({ registry: this.#registry, req, url, parameter, actor: '' });
    const identity = await this.#identify(req, route.permission);
    if (route.kind === 'watch') {
      // Whoever came now would hear nothing and never be ended: those who followed have been sent to another process.
      if (this.#terminated) throw new MillraceError(registryErrors.REGISTRY_DRAINING, 'this process of the registry is ending');
      return { kind: 'watch', identity };
    }
    const actor = identity.kind === 'user' ? `${identity.tenant}/${identity.user}` : 'anonymous';
    return route.run({ registry: this.#registry, req, url, parameter, actor });
  }

  async #identify(req: IncomingMessage, permission: Permission): Promise<Identity> {
    const identity = await this.#authenticator.authenticate(req.headers.authorization);
    demand(identity, permission);
    return identity;
  }

  async #health(): Promise<Answer> {
    if (this.#terminated) return { kind: 'text', status: 503, text: 'terminated' };
    try {
      await this.#registry.store.ping();
      return { kind: 'text', status: 200, text: 'ok' };
    } catch {
      return { kind: 'text', status: 503, text: 'db not ready' };
    }
  }

  #send(req: IncomingMessage, res: ServerResponse, answer: Answer): void {
    if (answer.kind === 'watch') return this.#watch.open(req, res, answer.identity);
    const headers = { 'cache-control': 'no-store', ...answer.headers };
    if (answer.kind === 'text') {
      res.writeHead(answer.status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(answer.text);
      return;
    }
    if (answer.status === 304) {
      res.writeHead(304, headers).end();
      return;
    }
    res.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(answer.json);
  }

  #fail(req: IncomingMessage, res: ServerResponse, thrown: unknown): void {
    const error = toMillraceError(thrown);
    if (!(thrown instanceof MillraceError) || error.spec.http >= 500)
      this.#registry.log.error(
        { err: thrown, cause: causeOf(error), code: error.code, path: req.url?.split('?')[0] },
        'registry request failed',
      );
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    const { problems, ...details } = error.details;
    const list = Array.isArray(problems) ? problems : Object.keys(details).length > 0 ? [{ message: error.message, ...details }] : null;
    res.writeHead(error.spec.http, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...(error.spec.http === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(error.spec.http === 503 ? { 'retry-after': '1' } : {}),
      // The rest of a body that was not read would be taken for the next request.
      ...(req.complete ? {} : { connection: 'close' }),
    });
    res.end(JSON.stringify({ success: false, message: error.message, details: list, code: error.code }));
  }
}

function causeOf(error: MillraceError): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined;
}
