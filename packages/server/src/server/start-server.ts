import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { resolve } from 'node:path';
import { MillraceError } from '../kit/errors.ts';
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
import type { Addresses } from './runtime-file.ts';

export type RunningServer = {
  readonly addresses: Addresses;
  readonly registry: { pushAll(services: readonly PushedService[]): Promise<void> };
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
  const base = createBase(config, opening);
  const graph = await openGraph(base);
  const path = await openDataPath(base, graph.topics);
  const clients = openClientSide(base, graph, path.channels);
  const ports = await openPorts(base, graph, path, clients);
  await graph.generations.ready;
  await path.ingest.start();
  const follower = await follow(base, graph.registry);
  ports.state.notReady = null;
  const closing = opening.move();
  let stopped: Promise<void> | null = null;
  return {
    addresses: ports.addresses,
    registry: { pushAll: (services) => pushAll(graph.registry, services) },
    stop: (reason = 'stopped') => (stopped ??= stop({ base, clients, ports, follower, closing }, reason)),
  };
}

type Ports = {
  readonly addresses: Addresses;
  readonly listeners: readonly Listener[];
  readonly state: { notReady: string | null };
  drainRegistry(): void;
};

async function openPorts(base: Base, graph: Graph, path: DataPath, clients: ClientSide): Promise<Ports> {
  const { config, authenticator, metrics, log, closing } = base;
  const state: Ports['state'] = { notReady: 'starting' };
  const registry = createRegistryHandler({ registry: graph.registry, authenticator });
  const admin = createAdmin({
    authenticator,
    metrics,
    deadLetters: path.log.deadLetters,
    trace: path.trace,
    notReady: () => state.notReady,
    explainConfig: () => maskedConfig({ config, origins: new Map(), file: null }),
    log,
  });
  const { port, host } = config;
  const beside = (own: number | null, offset: number): number => own ?? (port === 0 ? 0 : port + offset);
  const hosts = new DevHosts(config);
  const open = async (at: number, handler: Parameters<typeof listen>[2]): Promise<Listener> => {
    const listener = await listen(host, at, hosts.guard(handler));
    closing.defer(() => closeListener(listener, GRACE_MS));
    return listener;
  };
  const main = await open(port, mainHandler(clients, openDoor(base, graph.topics, path)));
  main.server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!hosts.refusesUpgrade(req, socket)) upgrade(clients, req, socket, head);
  });
  const registryPort = await open(beside(config.registryPort, 1), (req, res) => registry.handle(req, res));
  const adminPort = await open(beside(config.adminPort, 2), admin);
  const addresses = addressesOf(host, main.port, registryPort.port, adminPort.port);
  return { addresses, listeners: [main, registryPort, adminPort], state, drainRegistry: () => registry.drain() };
}

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

function mainHandler(clients: ClientSide, door: Handler): Handler {
  return (req, res) => {
    const path = pathOf(req);
    if (path === '/graphql/stream') return clients.sse.handle(req, res);
    if (path === '/graphql' || path.startsWith('/graphql/')) return clients.http.handle(req, res);
    if (path === '/events') return door(req, res);
    const { NOT_FOUND } = serverErrors;
    const error = { code: NOT_FOUND.code, message: 'this port serves /graphql, /graphql/stream and /events' };
    return sendText(res, NOT_FOUND.http, 'application/json', JSON.stringify({ error }));
  };
}

function upgrade(clients: ClientSide, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (pathOf(req) === '/graphql') return clients.ws.handleUpgrade(req, socket, head);
  refuseUpgrade(socket, 404, 'text/plain; charset=utf-8', 'WebSockets are served at /graphql\n');
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '/').split('?', 1)[0] ?? '/';
}

function addressesOf(host: string, main: number, registry: number, admin: number): Addresses {
  // A wildcard address is listened on, but nobody can connect to it.
  const name =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const root = `http://${name}:${main}`;
  return {
    graphql: `${root}/graphql`,
    ws: `ws://${name}:${main}/graphql`,
    sse: `${root}/graphql/stream`,
    events: `${root}/events`,
    registry: `http://${name}:${registry}`,
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
  ports.state.notReady = 'draining';
  ports.drainRegistry();
  await follower?.close();
  // Whoever has a session is closed over the window, once. Then those who have not introduced themselves, and the wait for all to be gone.
  await clients.sessions.drain(config.drainWindow);
  await clients.connections.drain(clock, random, { windowMs: 0, graceMs: GRACE_MS });
  await closing.disposeAsync();
}
