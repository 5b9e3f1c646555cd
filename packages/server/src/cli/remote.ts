import { resolve } from 'node:path';
import { MillraceError } from '../kit/errors.ts';
import { isLoopbackHost } from '../kit/loopback.ts';
import { type Runtime, readRuntimeFile } from '../server/runtime-file.ts';
import type { Flag, Input, Io } from './command.ts';
import { cliErrors, usageError } from './errors.ts';

export type Service = 'registry' | 'admin' | 'events';

const DATA_FLAG: Flag = {
  name: 'data',
  kind: 'text',
  value: 'DIR',
  doc: 'The data folder of the running server (default .millrace), to find its addresses.',
};
const TOKEN_FLAG: Flag = {
  name: 'token',
  kind: 'text',
  value: 'TOKEN',
  doc: 'A bearer token. Without it: MILLRACE_TOKEN, else for a server on this machine a development token.',
};
const WHAT: Readonly<Record<Service, string>> = { registry: 'The registry', admin: 'The admin port', events: 'Where events are posted' };

/** The flags of a command that talks to this service. */
export function remoteFlags(service: Service): readonly Flag[] {
  const address: Flag = {
    name: service,
    kind: 'text',
    value: 'URL',
    doc: `${WHAT[service]}. Without it: MILLRACE_${service.toUpperCase()}, else the server running on the data folder.`,
  };
  return [address, TOKEN_FLAG, DATA_FLAG];
}

export type Answer = { readonly status: number; readonly text: string; readonly retryAfter: number | null };

/** One service of one server, as commands see it. */
export class Remote {
  readonly service: Service;
  readonly base: URL;
  readonly #token: string | null;
  readonly #interrupted: AbortSignal;

  constructor(service: Service, base: URL, token: string | null, interrupted: AbortSignal) {
    this.service = service;
    this.base = base;
    this.#token = token;
    this.#interrupted = interrupted;
  }

  /** Rejects with SERVER_UNREACHABLE; every answer, refusals too, comes back. */
  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== null) headers.set('authorization', `Bearer ${this.#token}`);
    try {
      return await fetch(this.url(path), { ...init, headers, signal: this.#interrupted });
    } catch (error) {
      if (this.#interrupted.aborted) throw new MillraceError(cliErrors.SERVER_UNREACHABLE, 'interrupted', {}, error);
      const cause = (error as { cause?: { code?: string; message?: string } }).cause;
      throw new MillraceError(
        cliErrors.SERVER_UNREACHABLE,
        `cannot reach the ${this.service} at ${this.base.href}: ${cause?.code === 'UND_ERR_SOCKET' ? 'it closed the connection' : (cause?.code ?? cause?.message ?? 'no answer')}`,
        {},
        error,
      );
    }
  }

  /** The whole answer; rejects as `send`, and with SERVER_REFUSED for 401 and 403. */
  async ask(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await this.send(path, init);
    const answer = { status: response.status, text: await response.text(), retryAfter: seconds(response.headers.get('retry-after')) };
    if (answer.status === 401 || answer.status === 403) throw refused(answer);
    return answer;
  }

  /** Parsed JSON of a 2xx answer; anything else rejects with the server's own words. */
  async json(path: string, init: RequestInit = {}): Promise<unknown> {
    const answer = await this.ask(path, init);
    if (answer.status >= 300) throw saidNo(answer);
    return parseAnswer(answer);
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.json(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  }

  /** `path` is taken below the service's address; an empty path is the address itself. */
  url(path: string): URL {
    if (path === '' || path.startsWith('?')) return new URL(`${this.base.href}${path}`);
    return new URL(path.replace(/^\//, ''), this.base.href.endsWith('/') ? this.base.href : `${this.base.href}/`);
  }
}

/** Finds the server and signs in: flag, environment, then the server that runs on the data folder. */
export async function connect(service: Service, input: Input, io: Io): Promise<Remote> {
  const named = input.text(service) ?? io.environment[`MILLRACE_${service.toUpperCase()}`];
  const base = named === undefined ? addressOf(service, runningServer(input, io)) : parseUrl(service, named);
  const token = input.text('token') ?? io.environment['MILLRACE_TOKEN'] ?? (isLoopbackHost(base.hostname) ? await mintToken() : null);
  return new Remote(service, base, token, io.interrupted);
}

function runningServer(input: Input, io: Io): Runtime {
  const folder = input.text('data') ?? io.environment['MILLRACE_DATA_DIR'] ?? '.millrace';
  const runtime = readRuntimeFile(resolve(io.cwd, folder));
  if (runtime) return runtime;
  throw new MillraceError(
    cliErrors.SERVER_UNREACHABLE,
    `no server is running on the data folder ${folder}: start \`millrace dev\` here, or name the address with a flag`,
  );
}

function addressOf(service: Service, runtime: Runtime): URL {
  const address = runtime.addresses[service];
  if (address !== undefined) return new URL(address);
  throw new MillraceError(
    cliErrors.SERVER_UNREACHABLE,
    `the server running on the data folder does not have the role for this: name the address of another process with --${service}`,
  );
}

function parseUrl(service: Service, text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError(`--${service}: got ${JSON.stringify(text)}, takes an http or https URL`);
  return url;
}

async function mintToken(): Promise<string> {
  const { issueDevToken } = await import('../access/dev-tokens.ts');
  return issueDevToken({ tenant: 'dev', user: 'cli', expiresIn: '15m' });
}

export function parseAnswer(answer: Answer): unknown {
  try {
    return JSON.parse(answer.text) as unknown;
  } catch (error) {
    throw new MillraceError(cliErrors.SERVER_SAID_NO, `the server answered ${answer.status} with something that is not JSON`, {}, error);
  }
}

function refused(answer: Answer): MillraceError {
  return new MillraceError(cliErrors.SERVER_REFUSED, `the server answered ${answer.status}: ${wordsOf(answer)}`);
}

export function saidNo(answer: Answer): MillraceError {
  return new MillraceError(cliErrors.SERVER_SAID_NO, wordsOf(answer), { status: answer.status });
}

/** The message in an answer, whichever of the house's shapes it has: the registry's envelope, a coded error, or plain text. */
function wordsOf(answer: Answer): string {
  try {
    const body = JSON.parse(answer.text) as { message?: unknown; details?: unknown; error?: { message?: unknown; code?: string } | string };
    const error = typeof body.error === 'object' ? body.error : null;
    const message = body.message ?? error?.message ?? body.error;
    if (typeof message === 'string') return `${message}${error?.code ? ` [${error.code}]` : ''}${detailLines(message, body.details)}`;
  } catch {
    // Not JSON: its first line says what there is to say.
  }
  return answer.text.split('\n')[0]!.slice(0, 500) || `status ${answer.status}`;
}

/** What the message has not said already: of a single detail it is often the whole. */
function detailLines(message: string, details: unknown): string {
  if (!Array.isArray(details)) return '';
  const lines = details.map((each: unknown) => (typeof each === 'string' ? each : messageOf(each)));
  if (lines.length === 1 && message.endsWith(lines[0]!)) return '';
  return lines.map((line) => `\n  ${line}`).join('');
}

function messageOf(detail: unknown): string {
  const message = (detail as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : JSON.stringify(detail);
}

function seconds(header: string | null): number | null {
  return header !== null && /^\d+$/.test(header) ? Number(header) : null;
}
