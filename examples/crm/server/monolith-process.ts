import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { GraphQLError } from 'graphql';
import type { MonolithCommands } from './deals.ts';
import type { DealRow } from './deal-store.ts';

export type MonolithOptions = {
  readonly dataFile: string;
  readonly eventsUrl: string;
  readonly eventsToken: string | null;
  readonly port: number;
  /** Ms between two changes, about; 0 for none. */
  readonly everyMs: number;
  readonly seed: number;
};

export type Monolith = {
  readonly url: string;
  readonly pid: number;
  readonly commands: MonolithCommands;
  stop(): Promise<void>;
};

const STOP_TIMEOUT_MS = 5_000;

/** Starts the monolith as a process of its own and resolves when it is ready. It ends when this process does, by whatever cause. */
export async function startMonolith(options: MonolithOptions): Promise<Monolith> {
  const secret = randomBytes(16).toString('hex');
  const { eventsToken, ...plain } = options;
  const child = fork(
    new URL('./monolith.ts', import.meta.url),
    [
      '--data',
      plain.dataFile,
      '--events',
      plain.eventsUrl,
      '--port',
      `${plain.port}`,
      '--every',
      `${plain.everyMs}`,
      '--seed',
      `${plain.seed}`,
    ],
    // No arguments of this process's own Node: under a debugger or a test runner they would be wrong for the child.
    { execArgv: [], env: { ...process.env, MONOLITH_TOKEN: secret, ...(eventsToken ? { MONOLITH_EVENTS_TOKEN: eventsToken } : {}) } },
  );
  const gone = once(child, 'exit');
  const ready = await Promise.race([
    once(child, 'message'),
    gone.then(([code]) => Promise.reject(new Error(`the monolith ended with code ${String(code)}`))),
  ]);
  const { url } = ready[0] as { url: string };
  return {
    url,
    pid: child.pid ?? 0,
    commands: commandsOver(url, secret),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      child.kill('SIGTERM');
      await gone;
      clearTimeout(impatience);
    },
  };
}

function commandsOver(url: string, secret: string): MonolithCommands {
  const call = async (company: string, command: string, body: unknown): Promise<DealRow> => {
    const response = await fetch(`${url}/${encodeURIComponent(company)}/${command}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    const answer = (await response.json()) as DealRow & { errors?: readonly { message: string }[] };
    if (response.ok) return answer;
    const code = response.status === 404 ? 'NOT_FOUND' : response.status < 500 ? 'BAD_USER_INPUT' : 'UNAVAILABLE';
    throw new GraphQLError(answer.errors?.[0]?.message ?? `the monolith answered ${response.status}`, { extensions: { code } });
  };
  return {
    move: (company, id, stageId) => call(company, 'move', { id, stageId }),
    create: (company, deal) => call(company, 'create', deal),
    close: (company, id, won) => call(company, 'close', { id, won }),
  };
}
