import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Context } from './context.ts';
import { DEALS_SDL, type Deal, deal } from './deals.ts';
import { Generator } from './generator.ts';
import { startMillrace } from './millrace.ts';
import { nowMicros } from './process-figures.ts';
import { Publisher } from './publisher.ts';
import { ServerProcess } from './server-process.ts';
import { operatorToken } from './token.ts';

export type LiveSubject = 'millrace' | 'graphql-ws' | 'yoga' | 'mercurius' | 'ws' | 'net' | 'net-joined';

/** Without GraphQL: every socket gets every event, and there is nothing to subscribe to. */
const BARE: ReadonlySet<string> = new Set(['ws', 'net', 'net-joined']);

/** A server with clients that listen and somebody who publishes: what every row about delivery stands on. */
export class LiveSession implements AsyncDisposable {
  readonly subject: string;
  readonly server: ServerProcess;
  readonly generator: Generator;
  readonly #url: string;
  readonly #publisher: Publisher;
  readonly #stack: AsyncDisposableStack;
  #perSocket = 0;

  private constructor(
    subject: string,
    server: ServerProcess,
    generator: Generator,
    url: string,
    publisher: Publisher,
    stack: AsyncDisposableStack,
  ) {
    this.subject = subject;
    this.server = server;
    this.generator = generator;
    this.#url = url;
    this.#publisher = publisher;
    this.#stack = stack;
  }

  static async open(subject: string, context: Context): Promise<LiveSession> {
    await using stack = new AsyncDisposableStack();
    const { server, ws, events } = await startSubject(subject, context, stack);
    const generator = stack.use(new Generator());
    const publisher = stack.use(new Publisher(events, operatorToken()));
    return new LiveSession(subject, server, generator, ws, publisher, stack.move());
  }

  get bare(): boolean {
    return BARE.has(this.subject);
  }

  async connect(sockets: number, generator = this.generator): Promise<void> {
    await generator.connect({ url: this.#url, sockets, init: this.bare ? null : '{"authorization":"Bearer §token"}' });
  }

  /** Clients that come, subscribe and go, so that what a server builds up once is there before its memory is measured. */
  async guests(sockets: number, payload: string): Promise<void> {
    await using generator = new Generator(1);
    await this.connect(sockets, generator);
    if (!this.bare) await generator.subscribe({ payloads: [payload], groups: 1, perSocket: 1 });
    await this.publish(deal(nowMicros()));
    await sleep(300);
  }

  /** The same on every socket, or payload by payload and group by group. Returns when one event has reached every subscription. */
  async subscribe(payloads: readonly string[], groups = 1, perSocket = 1): Promise<void> {
    if (!this.bare) await this.generator.subscribe({ payloads, groups, perSocket });
    await this.expectFurther(perSocket);
  }

  /** After `generator.subscribe`: makes sure that so many further subscriptions stand on each socket. */
  async expectFurther(perSocket: number): Promise<void> {
    this.#perSocket += perSocket;
    await this.#probe();
  }

  /** Subscriptions of each socket; a bare one has its one. */
  get perSocket(): number {
    return this.bare ? 1 : this.#perSocket;
  }

  /** Publishes until an event reaches everybody: servers answer before they have accepted every socket and attached every subscription. */
  async #probe(): Promise<void> {
    const { generator } = this;
    for (let attempt = 1; ; attempt += 1) {
      generator.count(this.perSocket);
      await this.publish(deal(nowMicros()));
      let frames = -1;
      for (let before = -2; frames !== before;) {
        before = frames;
        await sleep(300);
        ({ frames } = await generator.collect());
      }
      const expected = this.perSocket * generator.sockets;
      if (frames === expected) return;
      if (attempt === 20) throw new Error(`${this.subject}: an event reached ${frames} of ${expected} subscriptions\n${this.server.log}`);
    }
  }

  /** All that is published is counted from here on. */
  publish(deals: Deal | readonly Deal[]): Promise<void> {
    return this.#publisher.post(deals);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

type Started = { readonly server: ServerProcess; readonly ws: string; readonly events: string };

async function startSubject(subject: string, context: Context, stack: AsyncDisposableStack): Promise<Started> {
  if (subject === 'millrace') {
    const { server, addresses } = stack.use(await startMillrace(context, { services: [{ name: 'deals', sdl: DEALS_SDL }] }));
    return { server, ws: addresses.ws, events: `${addresses.events}?topic=crm.deals` };
  }
  const server = stack.use(await ServerProcess.start({ args: [fileURLToPath(new URL(`../peers/${subject}.ts`, import.meta.url))] }));
  const { ws, events } = server.ready as { readonly ws: string; readonly events: string };
  return { server, ws, events };
}
