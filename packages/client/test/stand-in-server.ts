import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, type FormattedExecutionResult, GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const SCHEMA = `
  scalar Cursor
  type Query { nothing: Int }
  type Event { action: String! id: ID missed: Int cursor: Cursor! }
  type Subscription { dealEvent(after: Cursor): Event!  broken: Int }
`;

type Socket = { close(code: number, reason: string): void };

/** For tests: a server of the real graphql-ws library with one ordered log, cursors and what a test wants to go wrong. */
export async function startStandInServer(): Promise<StandInServer> {
  const server = new StandInServer();
  await server.listen();
  return server;
}

export class StandInServer {
  readonly faults: { refuse: string | null; cursor: string | null; gapMissed: number | null } = {
    refuse: null,
    cursor: null,
    gapMissed: null,
  };
  /** What each `subscribe` brought, in order. */
  readonly seen: { readonly variables: unknown; readonly authorization: unknown }[] = [];
  connections = 0;
  /** Subscriptions that stand in the log, ended ones too: what is published from now on reaches them. */
  taken = 0;
  readonly #log: number[] = [];
  readonly #wakes = new Set<() => void>();
  readonly #http = createServer();
  readonly #sockets = new WebSocketServer({ server: this.#http });
  #dispose: () => Promise<void> | void = () => {};

  async listen(): Promise<void> {
    this.#sockets.on('connection', () => void (this.connections += 1));
    const subscription = {
      dealEvent: ({ after }: { after?: string | null }) => this.#events(after ?? null),
      broken: () => refused('not for you', 'FORBIDDEN'),
    };
    const server = useServer(
      {
        schema: buildSchema(SCHEMA),
        roots: { subscription },
        onConnect: ({ extra }) => this.#refuseOnce((extra as { readonly socket: Socket }).socket),
        onSubscribe: (context, _id, payload) => {
          this.seen.push({ variables: payload.variables, authorization: context.connectionParams?.['authorization'] });
        },
        onNext: (_context, _id, _payload, _args, result) => {
          const event = (result.data as { dealEvent?: { cursor: string } } | null)?.dealEvent;
          return { ...result, ...(event ? { extensions: { cursor: event.cursor } } : {}) } as FormattedExecutionResult;
        },
      },
      this.#sockets,
    );
    this.#dispose = () => server.dispose();
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  publish(...ids: readonly number[]): void {
    this.#log.push(...ids);
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  cut(code: number, reason = ''): void {
    for (const client of this.#sockets.clients) client.close(code, reason);
  }

  /** Without a close frame, as a lost network looks. */
  tear(): void {
    for (const client of this.#sockets.clients) client.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tear();
    await this.#dispose();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async *#events(after: string | null): AsyncGenerator {
    if (this.faults.cursor !== null && after !== null) yield* refused('the cursor is not one of ours', this.faults.cursor);
    let next = after === null ? this.#log.length : Number(after) + 1;
    this.taken += 1;
    if (this.faults.gapMissed !== null && after !== null) {
      next = this.#log.length;
      yield { dealEvent: { action: 'GAP', id: null, missed: this.faults.gapMissed, cursor: String(next - 1) } };
    }
    for (;;) {
      for (; next < this.#log.length; next++)
        yield { dealEvent: { action: 'CHANGED', id: String(this.#log[next]), missed: null, cursor: String(next) } };
      await new Promise<void>((resolve) => this.#wakes.add(resolve));
    }
  }

  #refuseOnce(socket: Socket): boolean {
    const reason = this.faults.refuse;
    this.faults.refuse = null;
    if (reason !== null) socket.close(4403, reason);
    return true;
  }
}

/** A stream that fails before its first event. */
function refused(message: string, code: string): AsyncGenerator<never> {
  const error = new GraphQLError(message, { extensions: { code } });
  const fail = (): Promise<never> => Promise.reject(error);
  const stream = {
    next: fail,
    return: fail,
    throw: fail,
    [Symbol.asyncIterator]: () => stream,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return stream;
}
