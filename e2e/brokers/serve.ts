import { type Addresses, Inbox, pushSchema, wsClient } from '../harness.ts';
import { type Folder, Site } from '../site.ts';

export type Served = {
  /** kill -9; resolves when the process is gone. The folder stays, for the next process. */
  kill(): Promise<void>;
  readonly addresses: Addresses;
  readonly folder: string;
  readonly token: string;
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** `millrace serve` in production mode, with one issuer and the brokers given. In the folder of one that died it goes on. */
export async function serve(brokers: readonly object[], folder?: Folder): Promise<Served> {
  const config = {
    port: 0,
    // What comes while a client is away for a restart is caught up with, all of it.
    channels: { historyCount: 10_000, historyBytes: '16 MiB' },
    brokers,
  };
  const site = new Site(config, folder);
  const { ready, child, exited, log } = await site.serve('data', []);
  return {
    addresses: ready,
    folder: site.folder.path,
    token: await site.token('millrace:admin'),
    log,
    kill: async () => void (child.kill('SIGKILL'), await exited),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      site.folder.remove();
    },
  };
}

export type Heard = { readonly dealEvent: { readonly action: string; readonly deal: { readonly id: string; readonly title: string } } };

/** Pushes a live type on the topic, subscribes, and resolves once the subscription stands. */
export async function subscribe({ addresses, token }: Served, topic: string): Promise<Inbox<Heard>> {
  const sdl = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried"])
type Query { ping: String }
type Deal @key(fields: "id") @live(topic: "${topic}", tenant: "company_id") { id: ID! @carried  title: String! @carried }`;
  const pushed = await pushSchema(addresses.registry, token, { name: 'deals', sdl });
  if (!pushed.ok) throw new Error(await pushed.text());
  const inbox = new Inbox<Heard>();
  const client = wsClient(addresses, token);
  client.subscribe<Heard>(
    { query: 'subscription { dealEvent { action deal { id title } } }' },
    { next: ({ data }) => void (data && inbox.push(data)), error: () => {}, complete: () => {} },
  );
  for (;;) {
    const metrics = await (await fetch(new URL('/metrics', addresses.admin))).text();
    if (/^millrace_live_subscriptions [1-9]/m.test(metrics)) return inbox;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const deal = (n: number): string => JSON.stringify({ event_id: `e${n}`, id: String(n), title: `deal ${n}`, company_id: 'acme' });
