import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { resolve } from 'node:path';
import { type ErrorSpec, MillraceError } from '../kit/errors.ts';
import { refuseUpgrade, sendText } from '../kit/http-message.ts';
import { type SupergraphFollower, followSupergraphConfig } from '../registry/follow-supergraph-config.ts';
import type { Registry } from '../registry/registry.ts';
import { createRegistryHandler } from '../registry/rest.ts';
import { createAdmin } from './admin.ts';
import { type Base, createBase } from './base.ts';
import { type ClientSide, openClientSide } from './client-side.ts';
import { type Config, maskedConfig } from './config.ts';
import { type DataPath, openDataPath } from './data-path.ts';
import { DevHosts } from './dev-hosts.ts';
import { openDoor } from './door.ts';
import { serverErrors } from './errors.ts';
import { type Graph, openGraph } from './graph.ts';
import { type Listener, closeListener, listen } from './listen.ts';
import { sendElsewhere } from './roles.ts';
import type { Addresses } from './runtime-file.ts';
import { openTracer } from './tracing/open-tracer.ts';

export type RunningServer = {
  readonly addresses: Addresses;
  /** Null without the role registry. */
  readonly registry: { pushAll(services: readonly PushedService[]): Promise<void> } | null;
  /** Drains: not ready, no new clients, open ones closed over the window, events finished, everything durable. Idempotent. */
  stop(reason?: string): Promise<void>;
};

export type PushedService = {
  readonly name: string;
  readonly version: string;
  readonly url: string;
  readonly sdl: string;
  readonly mappingSdl?: string | null;
};

/** Answers still under way when the server stops get this long. */
const GRACE_MS = 2_000;

/**
 * The whole program, wired by hand. Read it from top to bottom: the graph, the path of an event, the clients, the three ports.
 * Rejects with a coded error where it cannot start, and then nothing is left open.
 */
export async function startServer(config: Config): Promise<RunningServer> {
  await using opening = new AsyncDisposableStack();
  const foundation = createBase(config, opening);
  const base = { ...foundation, tracer: await openTracer(foundation) };
  const graph = await openGraph(base);
  const path = await openDataPath(base, graph.topics);
  const clients = openClientSide(base, graph.generations, path.channels);
  const ports = await openPorts(base, graph, path, clients);
  await graph.generations?.ready;
  const { registry } = graph;
  const follower = registry === null ? null : await follow(base, registry);
  await begin(graph, path, ports);
  const closing = opening.move();
  let stopped: Promise<void> | null = null;
  return {
    addresses: ports.addresses,
    registry: registry === null ? null : { pushAll: (services) => pushAll(registry, services) },
    stop: (reason = 'stopped') => (stopped ??= stop({ base, clients, ports, follower, closing }, reason)),
  };
}

/** Takes events in and is ready as soon as schemas are known. Where they are not yet, the process runs and says what it waits for. */
async function begin({ waiting, known }: Graph, { ingest }: DataPath, { state }: Ports): Promise<void> {
  const ready = async (): Promise<void> => {
    if (state.notReady === DRAINING) return;
    await ingest?.start();
    state.notReady = null;
  };
  if (!waiting()) return ready();
  state.notReady = AWAITING_SCHEMA;
  void known.then(ready);
}

const DRAINING = 'draining';
const AWAITING_SCHEMA = 'no registry has answered yet, and no schema was kept';

type Ports = {
  readonly addresses: Addresses;
  readonly state: { notReady: string | null };
  drainRegistry(): void;
};

async function openPorts(base: Base, graph: Graph, path: DataPath, clients: ClientSide): Promise<Ports> {
  const { config, authenticator, closing } = base;
  const { port, host, reusePort } = config;
  const state: Ports['state'] = { notReady: 'starting' };
  const beside = (own: number | null, offset: number): number => own ?? (port === 0 ? 0 : port + offset);
  const hosts = new DevHosts(config);
  const open = async (at: number, handler: Handler, shared = false): Promise<Listener> => {
    const listener = await listen(host, at, hosts.guard(handler), shared);
    closing.defer(() => closeListener(listener, GRACE_MS));
    return listener;
  };
  const serves = base.has('ingest') || base.has('gateway') || base.has('edge');
  const main = serves ? await open(port, mainHandler(base, graph, path, clients, state), reusePort) : null;
  main?.server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!hosts.refusesUpgrade(req, socket)) upgrade(clients, req, socket, head);
  });
  const registry = graph.registry === null ? null : createRegistryHandler({ registry: graph.registry, authenticator });
  const registryPort = registry === null ? null : await open(beside(config.registryPort, 1), (req, res) => registry.handle(req, res));
  const adminPort = await open(beside(config.adminPort, 2), adminHandler(base, path, state));
  const addresses = addressesOf(base, { main: main?.port, registry: registryPort?.port, admin: adminPort.port });
  return { addresses, state, drainRegistry: () => registry?.drain() };
}

function adminHandler({ config, authenticator, metrics, log }: Base, { ingest }: DataPath, state: Ports['state']): Handler {
  return createAdmin({
    authenticator,
    metrics,
    ingest: ingest === null ? null : { deadLetters: ingest.log.deadLetters, trace: ingest.trace },
    roles: config.roles,
    notReady: () => state.notReady,
    explainConfig: () => maskedConfig({ config, origins: new Map(), file: null }),
    log,
  });
}

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

function mainHandler(base: Base, graph: Graph, { ingest }: DataPath, { http, edge }: ClientSide, state: Ports['state']): Handler {
  const { roles } = base.config;
  const door = ingest === null ? null : openDoor(base, graph.topics, ingest);
  return (req, res) => {
    const path = pathOf(req);
    if (path === '/graphql/stream') return edge ? edge.sse.handle(req, res) : sendElsewhere(res, 'edge', roles);
    if (path === '/graphql' || path.startsWith('/graphql/')) return http ? http.handle(req, res) : sendElsewhere(res, 'gateway', roles);
    if (path === '/events') {
      if (door === null) return sendElsewhere(res, 'ingest', roles);
      return state.notReady === AWAITING_SCHEMA ? sendError(res, serverErrors.SCHEMA_AWAITED, AWAITING_SCHEMA) : door(req, res);
    }
    return sendError(res, serverErrors.NOT_FOUND, 'this port serves /graphql, /graphql/stream and /events');
  };
}

function sendError(res: ServerResponse, { code, http }: ErrorSpec, message: string): void {
  sendText(res, http, 'application/json', JSON.stringify({ error: { code, message } }), { connection: 'close' });
}

function upgrade({ edge }: ClientSide, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (edge !== null && pathOf(req) === '/graphql') return edge.ws.handleUpgrade(req, socket, head);
  const why = edge === null ? 'this process does not have the role edge\n' : 'WebSockets are served at /graphql\n';
  refuseUpgrade(socket, edge === null ? serverErrors.ROLE_ELSEWHERE.http : serverErrors.NOT_FOUND.http, 'text/plain; charset=utf-8', why);
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '/').split('?', 1)[0] ?? '/';
}

type PortNumbers = { readonly main: number | undefined; readonly registry: number | undefined; readonly admin: number };

function addressesOf({ config: { host }, has }: Base, { main, registry, admin }: PortNumbers): Addresses {
  // A wildcard address is listened on, but nobody can connect to it.
  const name =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return {
    ...(has('gateway') ? { graphql: `http://${name}:${main}/graphql` } : {}),
    ...(has('edge') ? { ws: `ws://${name}:${main}/graphql`, sse: `http://${name}:${main}/graphql/stream` } : {}),
    ...(has('ingest') ? { events: `http://${name}:${main}/events` } : {}),
    ...(registry === undefined ? {} : { registry: `http://${name}:${registry}` }),
    admin: `http://${name}:${admin}`,
  };
}

/** The subgraphs of a supergraph.yaml are pushed before the server says that it is ready. A graph that does not compose ends the start. */
async function follow({ config, clock, log, closing }: Base, registry: Registry): Promise<SupergraphFollower | null> {
  if (config.supergraphConfig === null) return null;
  const follower = await followSupergraphConfig({ path: resolve(config.supergraphConfig), registry, clock, log });
  closing.defer(() => follower.close());
  const { first } = follower;
  if (first.kind === 'failed')
    throw first.errors[0] ?? new MillraceError(serverErrors.SUPERGRAPH_NOT_PUSHED, 'the supergraph configuration could not be pushed');
  return follower;
}

async function pushAll(registry: Registry, services: readonly PushedService[]): Promise<void> {
  const requests = services.map(({ sdl, mappingSdl, ...rest }) => ({ ...rest, typeDefs: sdl, mappingDefs: mappingSdl ?? null }));
  await registry.push(requests, 'start');
}

type Running = {
  readonly base: Base;
  readonly clients: ClientSide;
  readonly ports: Ports;
  readonly follower: SupergraphFollower | null;
  readonly closing: AsyncDisposableStack;
};

async function stop({ base, clients, ports, follower, closing }: Running, reason: string): Promise<void> {
  const { clock, random, config, log } = base;
  log.info({ reason }, 'stopping');
  ports.state.notReady = DRAINING;
  clients.refuseNew();
  ports.drainRegistry();
  await follower?.close();
  // Whoever has a session is closed over the window, once. Then those who have not introduced themselves, and the wait for all to be gone.
  await clients.edge?.sessions.drain(config.drainWindow);
  await clients.edge?.connections.drain(clock, random, { windowMs: 0, graceMs: GRACE_MS });
  await closing.disposeAsync();
}
