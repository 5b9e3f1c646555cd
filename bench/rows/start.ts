import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { figure, megabytes } from '../lib/figures.ts';
import type { Row } from '../lib/row.ts';
import { ServerProcess } from '../lib/server-process.ts';

type Warm = AsyncDisposable & { readonly product: string; readonly data: string };

function dev(product: string, data: string): Promise<ServerProcess> {
  const config = join(product, 'examples/crm/supergraph.yaml');
  // As `bin/millrace.js` does by itself, though before the harness's own file is read, which would load the compiler.
  const env = { NODE_COMPILE_CACHE: join(data, 'code') };
  return ServerProcess.start({
    args: [join(product, 'packages/server/bin/millrace.js'), 'dev', '--json', '--port', '0', '--data', data, '--supergraph-config', config],
    cwd: data,
    env,
  });
}

export const start: Row<Warm> = {
  name: 'start',
  title: 'From the command to ready',
  work: '`millrace dev` with the three schemas of the CRM example and a data folder that has been used before: from the start of the process to the line that says ready. RSS after three idle seconds, and after full collections.',
  stage: {
    name: 'a data folder that has been used before',
    subjects: ['millrace'],
    async open(_subject, { product }) {
      const data = mkdtempSync(join(tmpdir(), 'bench-start-'));
      await using first = await dev(product, data);
      void first;
      return { product, data, [Symbol.asyncDispose]: async () => rmSync(data, { recursive: true, force: true }) };
    },
  },
  seconds: 25,
  headline: ['ready', 'idle'],
  figures: {
    ready: figure.less('ready after', 's'),
    cpu: figure.less('CPU until ready', 's'),
    idle: figure.less('idle RSS', 'MB'),
    collected: figure.less('RSS after collections', 'MB'),
  },
  targets: [
    { text: 'ready within 1.5 s', figure: 'ready', subject: 'millrace', over: null, atMost: 1.5 },
    { text: 'idle RSS ≤ 130 MB', figure: 'idle', subject: 'millrace', over: null, atMost: 130 },
  ],
  async measure({ product, data }) {
    const began = performance.now();
    await using server = await dev(product, data);
    const ready = (performance.now() - began) / 1000;
    const cpu = server.cpuMicros() / 1e6;
    await sleep(3_000);
    const idle = server.residentBytes();
    return { ready, cpu, idle: megabytes(idle), collected: megabytes((await server.collected()).resident) };
  },
};
