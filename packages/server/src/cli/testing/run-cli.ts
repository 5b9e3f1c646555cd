import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Environment } from '../../server/config.ts';
import { commands } from '../commands.ts';
import { runCommandLine } from '../run.ts';

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  readonly cwd?: string;
  readonly environment?: Environment;
  readonly stdin?: string;
  readonly interrupted?: AbortSignal;
  /** Called with all of standard output so far, whenever it grows. */
  readonly onStdout?: (soFar: string) => void;
};

/** Runs one command line in this process. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [stdout, stderr] = [collector(options.onStdout), collector()];
  const code = await runCommandLine(args, commands, {
    stdout: stdout.stream,
    stderr: stderr.stream,
    stdin: Readable.from([Buffer.from(options.stdin ?? '')]),
    environment: options.environment ?? {},
    cwd: options.cwd ?? '/',
    interrupted: options.interrupted ?? new AbortController().signal,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function collector(onGrow?: (soFar: string) => void): { stream: PassThrough; text(): string } {
  const stream = new PassThrough();
  let all = '';
  stream.on('data', (chunk: Buffer) => {
    all += chunk.toString();
    onGrow?.(all);
  });
  return { stream, text: () => all };
}

export type Seen = { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string };

/** An HTTP server that answers with what the test says, and remembers what it was asked. */
export async function fakeServer(
  answer: (seen: Seen, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly seen: Seen[] } & AsyncDisposable> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body };
      seen.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
