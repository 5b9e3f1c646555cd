import { buildSchema, execute, type ExecutionResult, getOperationAST, GraphQLError, parse, subscribe, validate } from 'graphql';
import { defineErrors, MillraceError } from '../../kit/errors.ts';
import type { GraphqlRequest, Refusal, Session, SessionHello, SessionHost } from '../../live/session.ts';
import type { Transport } from '../../live/transport.ts';

const errors = defineErrors({
  TOKEN_INVALID: { class: 'auth', http: 401, retryable: false, meaning: 'test', action: 'test' },
  TOKEN_EXPIRED: { class: 'auth', http: 401, retryable: true, meaning: 'test', action: 'test' },
  SESSION_LIMIT: { class: 'limit', http: 429, retryable: true, meaning: 'test', action: 'test' },
});

const schema = buildSchema(`
  type Query { hello(name: String = "world"): String, boom: String }
  type Mutation { say(word: String!): String }
  type Subscription { count(to: Int!): Int, manual: String, never: Int }
`);

export type Running = { readonly id: string; readonly request: GraphqlRequest; stopped: boolean };

/** A SessionHost over a tiny schema: enough for real client libraries to talk to. `Bearer <user>` signs in as that user of tenant `t1`. */
export class FakeSessionHost implements SessionHost {
  acceptsNew = true;
  /** Set to hold back answers to `open`. */
  gate: Promise<void> | null = null;
  readonly hellos: SessionHello[] = [];
  readonly sessions: FakeSession[] = [];

  accepting(): boolean {
    return this.acceptsNew;
  }

  async open(hello: SessionHello, transport: Transport): Promise<Session> {
    this.hellos.push(hello);
    await this.gate;
    const user = /^Bearer (\S+)$/i.exec(hello.authorization ?? '')?.[1];
    if (hello.authorization !== undefined && user === undefined) throw new MillraceError(errors.TOKEN_INVALID, 'the token is not one');
    if (user === 'expired') throw new MillraceError(errors.TOKEN_EXPIRED, 'the token expired');
    if (user === 'limited') throw new MillraceError(errors.SESSION_LIMIT, 'too many sessions');
    if (user === 'broken') throw new Error('a fault nobody foresaw');
    const session = new FakeSession(transport, user ?? null);
    this.sessions.push(session);
    return session;
  }
}

export class FakeSession implements Session {
  readonly identity: Session['identity'];
  readonly transport: Transport;
  readonly running = new Map<string, Running>();
  readonly started: Running[] = [];
  ended = 0;
  #listeners: { run: () => boolean; done: () => void }[] = [];

  constructor(transport: Transport, user: string | null) {
    this.transport = transport;
    this.identity =
      user === null
        ? { kind: 'anonymous', tenant: null }
        : {
            kind: 'user',
            tenant: 't1',
            user,
            roles: [],
            groups: [],
            scopes: [],
            expiresAt: null,
            issuer: 'test',
            tokenId: null,
            token: user,
          };
  }

  get operations(): number {
    return this.running.size;
  }

  has(id: string): boolean {
    return this.running.has(id);
  }

  start(id: string, request: GraphqlRequest, onEnd: (() => void) | null = null, onStart?: (refused: Refusal | null) => void): void {
    const running: Running = { id, request, stopped: false };
    this.running.set(id, running);
    this.started.push(running);
    this.#notify();
    void this.#run(running, onStart ?? null).finally(() => {
      if (this.running.get(id) === running) this.running.delete(id);
      onEnd?.();
      this.#notify();
    });
  }

  stop(id: string): void {
    const running = this.running.get(id);
    if (running) running.stopped = true;
    this.running.delete(id);
    this.#notify();
  }

  end(): void {
    this.ended++;
    for (const id of this.running.keys()) this.stop(id);
    this.#notify();
  }

  /** Resolves when `condition` holds; looked at after every change. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((done) => this.#listeners.push({ run: condition, done }));
  }

  next(id: string, result: ExecutionResult, cursor: string | null = null): void {
    this.transport.write(this.transport.codec.next(id, Buffer.from(JSON.stringify(result)), cursor));
  }

  #notify(): void {
    const due = this.#listeners.filter((l) => l.run());
    this.#listeners = this.#listeners.filter((l) => !due.includes(l));
    for (const listener of due) listener.done();
  }

  async #run(running: Running, onStart: ((refused: Refusal | null) => void) | null): Promise<void> {
    await Promise.resolve();
    const refused = this.#check(running.request);
    if (running.stopped) return;
    onStart?.(refused ? { errors: refused, status: 400 } : null);
    if (refused) {
      if (!onStart) this.transport.write(this.transport.codec.error(running.id, refused));
      return;
    }
    for await (const result of results(running.request)) {
      if (running.stopped) return;
      const count = result.data?.['count'];
      this.next(running.id, result, typeof count === 'number' ? `cursor-${count}` : null);
    }
    if (running.stopped) return;
    if (/never|manual/.test(running.request.query)) return this.until(() => running.stopped);
    this.transport.write(this.transport.codec.complete(running.id));
  }

  #check(request: GraphqlRequest): string | null {
    try {
      const found = validate(schema, parse(request.query));
      return found.length ? JSON.stringify(found) : null;
    } catch (thrown) {
      return JSON.stringify([thrown instanceof GraphQLError ? thrown : { message: 'unknown' }]);
    }
  }
}

async function* results(request: GraphqlRequest): AsyncIterable<ExecutionResult> {
  const document = parse(request.query);
  const rootValue = {
    hello: ({ name }: { name: string }) => `hello ${name}`,
    say: ({ word }: { word: string }) => word,
    async *count({ to }: { to: number }) {
      const start = request.lastCursor === null ? 0 : Number(request.lastCursor.slice('cursor-'.length));
      for (let i = start + 1; i <= to; i++) yield { count: i };
    },
    async *manual() {},
    async *never() {},
  };
  const args = { schema, document, rootValue, variableValues: request.variables, operationName: request.operationName };
  if (getOperationAST(document, request.operationName)?.operation !== 'subscription') {
    yield await execute(args);
    return;
  }
  const stream = await subscribe(args);
  if (Symbol.asyncIterator in stream) yield* stream;
  else yield stream;
}
