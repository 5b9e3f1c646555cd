import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, type FormattedExecutionResult, GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

/** For tests: a server of the real graphql-ws library with one ordered log, cursors and what a test wants to go wrong. */
export async function startStandInServer() {
  const log: number[] = [];
  const wakes = new Set<() => void>();
  const seen: { variables: unknown; authorization: unknown }[] = [];
  const faults = { refuse: null as string | null, cursor: null as string | null, gapMissed: null as number | null };
  let connections = 0;
  let taken = 0;

  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', () => void (connections += 1));
  const subscription = {
    async *dealEvent({ after }: { after?: string | null }) {
      if (faults.cursor !== null && typeof after === 'string') throw new GraphQLError('the cursor is not one of ours', { extensions: { code: faults.cursor } });
      let next = typeof after === 'string' ? Number(after) + 1 : log.length;
      taken += 1;
      if (faults.gapMissed !== null && typeof after === 'string') {
        yield { dealEvent: { action: 'GAP', id: null, missed: faults.gapMissed, cursor: String(log.length - 1) } };
        next = log.length;
      }
      for (;;) {
        for (; next < log.length; next++) yield { dealEvent: { action: 'CHANGED', id: String(log[next]), missed: null, cursor: String(next) } };
        await new Promise<void>((resolve) => wakes.add(resolve));
        wakes.clear();
      }
    },
    // eslint-disable-next-line require-yield
    async *broken() {
      throw new GraphQLError('not for you', { extensions: { code: 'FORBIDDEN' } });
    },
  };
  const server = useServer(
    {
      schema: buildSchema(`
        scalar Cursor
        type Query { nothing: Int }
        type Event { action: String! id: ID missed: Int cursor: Cursor! }
        type Subscription { dealEvent(after: Cursor): Event!  broken: Int }
      `),
      roots: { subscription },
      onConnect: (context) => {
        if (faults.refuse !== null) {
          const reason = faults.refuse;
          faults.refuse = null;
          (context.extra as { socket: { close(code: number, reason: string): void } }).socket.close(4403, reason);
        }
        return true;
      },
      onSubscribe: (context, _id, payload) => {
        seen.push({ variables: payload.variables, authorization: context.connectionParams?.['authorization'] });
      },
      onNext: (_context, _id, _payload, _args, result) => {
        const event = (result.data as { dealEvent?: { cursor: string } } | null)?.dealEvent;
        return { ...result, ...(event ? { extensions: { cursor: event.cursor } } : {}) } as FormattedExecutionResult;
      },
    },
    sockets,
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    faults,
    /** What each `subscribe` brought, in order. */
    seen,
    connections: () => connections,
    /** Subscriptions that stand in the log, ended ones too: what is published from now on reaches them. */
    taken: () => taken,
    publish(...ids: readonly number[]) {
      log.push(...ids);
      for (const wake of wakes) wake();
    },
    cut(code: number, reason = '') {
      for (const client of sockets.clients) client.close(code, reason);
    },
    /** Without a close frame, as a lost network looks. */
    tear() {
      for (const client of sockets.clients) client.terminate();
    },
    async [Symbol.asyncDispose]() {
      for (const client of sockets.clients) client.terminate();
      await server.dispose();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
