import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from './context.ts';
import { ServerProcess } from './server-process.ts';
import { ISSUER, operatorToken, SECRET } from './token.ts';

export type MillraceAddresses = {
  readonly ws: string;
  readonly graphql: string;
  readonly sse: string;
  readonly events: string;
  readonly registry: string;
  readonly admin: string;
};

export type MillraceOptions = {
  /** Services pushed before anything else. */
  readonly services: readonly { readonly name: string; readonly sdl: string; readonly url?: string }[];
  /** Further flags of `millrace serve`. */
  readonly args?: readonly string[];
};

export type Millrace = AsyncDisposable & { readonly server: ServerProcess; readonly addresses: MillraceAddresses };

/**
 * `millrace serve` as in production: tokens of a configured issuer, limits, metrics, the durable log and resumable cursors, all with their
 * defaults. Only the log level is raised, since lines of five thousand connections are no part of the work.
 */
export async function startMillrace(context: Context, { services, args = [] }: MillraceOptions): Promise<Millrace> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const issuers = JSON.stringify([{ issuer: ISSUER, audience: 'millrace', algorithms: ['HS256'], secret: SECRET }]);
  const { profile } = context.options;
  const server = await ServerProcess.start({
    args: [
      join(context.product, 'packages/server/bin/millrace.js'),
      ...['serve', '--json', '--port', '0', '--data', data, '--access-issuers', issuers, '--log-level', 'error', '--drain-window', '0ms'],
      ...args,
    ],
    cwd: data,
    nodeFlags: profile === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profile],
  });
  const addresses = server.ready as unknown as MillraceAddresses;
  await pushServices(addresses.registry, services);
  return {
    server,
    addresses,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function pushServices(registry: string, services: MillraceOptions['services']): Promise<void> {
  for (const { name, sdl, url } of services) {
    const response = await fetch(new URL('/schema/push', registry), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${operatorToken()}` },
      body: JSON.stringify({ name, version: '1', type_defs: sdl, url: url ?? 'http://127.0.0.1:9/graphql' }),
    });
    if (!response.ok) throw new Error(`schema of ${name} was refused: ${response.status} ${await response.text()}`);
  }
}
