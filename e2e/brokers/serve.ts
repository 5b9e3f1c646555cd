import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SignJWT } from 'jose';
import { type Addresses, Inbox, pushSchema, temporaryFolder, wsClient } from '../harness.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SECRET = 'a secret of the tests of brokers, long enough';

export type Served = {
  /** kill -9; resolves when the process is gone. The folder stays, for the next process. */
  kill(): Promise<void>;
  readonly addresses: Addresses;
  readonly folder: string;
  readonly token: string;
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

export type Folder = { readonly path: string; remove(): void };

/** `millrace serve --config FILE` in production mode, with one issuer and the brokers given. In the folder of one that died it goes on. */
export async function serve(brokers: readonly object[], folder: Folder = temporaryFolder()): Promise<Served> {
  writeFileSync(join(folder.path, 'secret'), SECRET);
  const config = {
    port: 0,
    log: { level: 'warn' },
    drainWindow: 0,
    // What comes while a client is away for a restart is caught up with, all of it.
    channels: { historyCount: 10_000, historyBytes: '16 MiB' },
    access: { issuers: [{ issuer: 'tests', secretFile: 'secret' }] },
    brokers,
  };
  writeFileSync(join(folder.path, 'millrace.config.json'), JSON.stringify(config));
  const node = join(ROOT, 'node_modules/node/bin/node');
  const cli = join(ROOT, 'packages/server/src/cli/main.ts');
  const child = spawn(node, [cli, 'serve', '--json', '--config', 'millrace.config.json'], {
    cwd: folder.path,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => void (log = (log + chunk.toString()).slice(-100_000)));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const addresses = await new Promise<Addresses>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => resolve(JSON.parse(line) as Addresses));
    void exited.then((code) => reject(new Error(`millrace serve ended with ${code}:\n${log}`)));
  });
  const token = await new SignJWT({ tenant: 'acme', scope: 'millrace:admin' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('tests')
    .setSubject('ann')
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
  return {
    addresses,
    folder: folder.path,
    token,
    log: () => log,
    kill: async () => void (child.kill('SIGKILL'), await exited),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      folder.remove();
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
