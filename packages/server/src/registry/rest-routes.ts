import type { IncomingMessage } from 'node:http';
import type { Identity } from '../access/identity.ts';
import type { Permission } from '../access/permissions.ts';
import { persistedQuery, persistQuery, pushSubscriptions } from './documents.ts';
import { readJsonBody } from './http-body.ts';
import type { Registry } from './registry.ts';
import { encodeRelease } from './release-json.ts';
import {
  composeRequest,
  diffRequest,
  historyRequest,
  persistedQueryRequest,
  pushAllRequest,
  pushRequest,
  subscriptionRequest,
} from './requests.ts';
import { composedJson, historyJson, pushedJson, pushedSubscriptionJson, schemaJson, subscriptionsJson } from './rest-rows.ts';

export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly json: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'text'; readonly status: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'watch'; readonly identity: Identity };

export type Call = {
  readonly registry: Registry;
  readonly req: IncomingMessage;
  readonly url: URL;
  /** The last step of the path where the route has one, decoded. */
  readonly parameter: string;
  /** `tenant/user` of the token, for the history. */
  readonly actor: string;
};

type Run = (call: Call) => Promise<Answer>;

/** `path` ends in `/:` where its last step is a parameter; it is also the label in metrics. */
export type Route = { readonly method: string; readonly path: string } & (
  | { readonly kind: 'run'; readonly permission: Permission | null; readonly run: Run }
  | { readonly kind: 'watch'; readonly permission: Permission }
  | { readonly kind: 'health' }
);

const READ: Permission = 'registry:read';
const WRITE: Permission = 'registry:write';

const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/', kind: 'run', permission: null, run: about },
  { method: 'GET', path: '/health', kind: 'health' },
  {
    method: 'GET',
    path: '/schema/latest',
    kind: 'run',
    permission: READ,
    run: async ({ registry }) => ok((await registry.latest()).map(schemaJson)),
  },
  { method: 'POST', path: '/schema/compose', kind: 'run', permission: READ, run: compose },
  { method: 'POST', path: '/schema/push', kind: 'run', permission: WRITE, run: push },
  { method: 'POST', path: '/schema/push-all', kind: 'run', permission: WRITE, run: pushAll },
  { method: 'POST', path: '/schema/validate', kind: 'run', permission: READ, run: validate },
  { method: 'POST', path: '/schema/diff', kind: 'run', permission: READ, run: diff },
  { method: 'GET', path: '/schema/supergraph', kind: 'run', permission: READ, run: supergraph },
  { method: 'GET', path: '/schema/history', kind: 'run', permission: READ, run: history },
  { method: 'DELETE', path: '/schema/:', kind: 'run', permission: WRITE, run: deactivate },
  { method: 'DELETE', path: '/service/:', kind: 'run', permission: WRITE, run: deleteService },
  { method: 'GET', path: '/persisted_query', kind: 'run', permission: READ, run: getDocument },
  { method: 'POST', path: '/persisted_query', kind: 'run', permission: WRITE, run: putDocument },
  { method: 'POST', path: '/subscriptions/push', kind: 'run', permission: WRITE, run: pushSource },
  {
    method: 'GET',
    path: '/subscriptions/latest',
    kind: 'run',
    permission: READ,
    run: async ({ registry }) => ok(subscriptionsJson(await registry.store.subscriptions())),
  },
  { method: 'GET', path: '/release', kind: 'run', permission: READ, run: release },
  { method: 'GET', path: '/release/watch', kind: 'watch', permission: READ },
];

const TABLE = new Map(ROUTES.map((route) => [`${route.method} ${route.path}`, route]));

/** Null for what is no route: whole paths first, then a path whose last step is a parameter. */
export function matchRoute(method: string, pathname: string): { readonly route: Route; readonly parameter: string } | null {
  // Load balancers ask for health by HEAD; a HEAD of the watch would hold a connection for nothing.
  const asked = method === 'HEAD' && pathname === '/health' ? 'GET' : method;
  const path = pathname.length > 1 && pathname.endsWith('/') ? pathname.slice(0, -1) : pathname;
  const whole = TABLE.get(`${asked} ${path}`);
  if (whole) return path.endsWith('/:') ? null : { route: whole, parameter: '' };
  const cut = path.lastIndexOf('/') + 1;
  const route = TABLE.get(`${asked} ${path.slice(0, cut)}:`);
  const parameter = decoded(path.slice(cut));
  return route && parameter !== null && parameter !== '' ? { route, parameter } : null;
}

function decoded(step: string): string | null {
  try {
    return decodeURIComponent(step);
  } catch {
    return null;
  }
}

function ok(data?: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return {
    kind: 'json',
    status: 200,
    json: JSON.stringify(data === undefined ? { success: true } : { success: true, data }),
    ...(headers ? { headers } : {}),
  };
}

async function about(): Promise<Answer> {
  return ok({ name: 'Millrace registry', api: 'spec/registry-api.md', health: '/health' });
}

async function compose({ registry, req }: Call): Promise<Answer> {
  return ok((await registry.compose(composeRequest(await readJsonBody(req)))).map(composedJson));
}

async function push({ registry, req, actor }: Call): Promise<Answer> {
  const [row] = await registry.push([pushRequest(await readJsonBody(req))], actor);
  return ok(row ? pushedJson(row) : null);
}

async function pushAll({ registry, req, actor }: Call): Promise<Answer> {
  return ok((await registry.push(pushAllRequest(await readJsonBody(req)), actor)).map(pushedJson));
}

async function validate({ registry, req }: Call): Promise<Answer> {
  await registry.validate([pushRequest(await readJsonBody(req))]);
  return ok();
}

async function diff({ registry, req }: Call): Promise<Answer> {
  return ok(await registry.diff(diffRequest(await readJsonBody(req))));
}

async function supergraph({ registry }: Call): Promise<Answer> {
  return { kind: 'text', status: 200, text: registry.release()?.supergraphSdl ?? '' };
}

async function history({ registry, url }: Call): Promise<Answer> {
  const { before, limit } = historyRequest(url.searchParams);
  return ok((await registry.history(before, limit)).map(historyJson));
}

async function deactivate({ registry, parameter, actor }: Call): Promise<Answer> {
  // An id that is no number of a row is simply unknown; PostgreSQL would refuse to compare it.
  const id = /^\d{1,10}$/.test(parameter) ? Number(parameter) : 0;
  const row = id >= 1 && id <= 2_147_483_647 ? await registry.deactivate(id, actor) : null;
  return ok(row ? schemaJson(row) : null);
}

async function deleteService({ registry, parameter, url, actor }: Call): Promise<Answer> {
  const storable = parameter.length <= 200 && !parameter.includes('\0') && parameter.isWellFormed();
  return ok(storable ? await registry.deleteService(parameter, { force: url.searchParams.get('force') === 'true' }, actor) : null);
}

async function getDocument({ registry, url }: Call): Promise<Answer> {
  return ok(await persistedQuery(registry.store, url.searchParams.get('key') ?? ''));
}

async function putDocument({ registry, req }: Call): Promise<Answer> {
  const { key, value } = persistedQueryRequest(await readJsonBody(req));
  await persistQuery(registry.store, registry.clock, key, value);
  return ok();
}

async function pushSource({ registry, req }: Call): Promise<Answer> {
  return ok(pushedSubscriptionJson(await pushSubscriptions(registry.store, registry.clock, subscriptionRequest(await readJsonBody(req)))));
}

async function release({ registry, req }: Call): Promise<Answer> {
  const current = registry.release();
  if (!current) return ok(null);
  const etag = `"${current.digest}"`;
  const headers = { etag, 'cache-control': 'no-cache' };
  if (req.headers['if-none-match'] === etag) return { kind: 'json', status: 304, json: '', headers };
  return { kind: 'json', status: 200, json: `{"success":true,"data":${encodeRelease(current)}}`, headers };
}
