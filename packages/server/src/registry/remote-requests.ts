import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { MillraceError } from '../kit/errors.ts';
import { registryErrors } from './errors.ts';

/** One process of a registry, and how to talk to it. */
export type RegistryAddress = {
  readonly url: string;
  readonly token: string | null;
  /** Ms without a byte after which the connection counts as dead. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
};

/** A supergraph of thousands of services has some 30 MB. */
export const RELEASE_BYTES_MAX = 256 * 1024 * 1024;

/** The text of the current release; null where it is the one with this digest, or where there is none. Rejects with REGISTRY_UNREACHABLE or REGISTRY_REFUSED. */
export async function fetchRelease(address: RegistryAddress, digest: string | null): Promise<string | null> {
  const response = await ask(address, '/release', digest === null ? {} : { 'if-none-match': `"${digest}"` });
  const text = Buffer.concat(await collected(response)).toString('utf8');
  if (response.statusCode === 304) return null;
  const envelope = parsed(text);
  return envelope === null ? null : JSON.stringify(envelope);
}

/** The texts of the releases that follow. Ends where the registry ends the stream; rejects as `fetchRelease`. */
export async function* followReleases(address: RegistryAddress, digest: string | null): AsyncGenerator<string> {
  const response = await ask(address, '/release/watch', {
    accept: 'text/event-stream',
    ...(digest === null ? {} : { 'last-event-id': digest }),
  });
  let parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      let from = 0;
      // Only what is new is looked at: a release of 30 MB comes in hundreds of chunks. The end of an event may be cut by a chunk's end.
      for (let end = endOfEvent(parts.at(-1), chunk, from); end >= 0; end = endOfEvent(undefined, chunk, from)) {
        parts.push(chunk.subarray(from, end));
        const data = dataOf(Buffer.concat(parts).toString('utf8'));
        parts = [];
        size = 0;
        from = end;
        if (data !== null) yield data;
      }
      size += chunk.length - from;
      if (size > RELEASE_BYTES_MAX) throw refused(address, `an event of more than ${RELEASE_BYTES_MAX} bytes`);
      if (from < chunk.length) parts.push(chunk.subarray(from));
    }
  } catch (thrown) {
    throw thrown instanceof MillraceError ? thrown : unreachable(address, thrown);
  } finally {
    response.destroy();
  }
}

/** Where the event that ends in `chunk` at or after `from` ends, -1 where none does. `before` is the chunk before. */
function endOfEvent(before: Buffer | undefined, chunk: Buffer, from: number): number {
  if (from === 0 && before?.at(-1) === 0x0a && chunk[0] === 0x0a) return 1;
  const at = chunk.indexOf('\n\n', from, 'latin1');
  return at < 0 ? -1 : at + 2;
}

/** The `data` of a `release` event (WHATWG HTML, 9.2.6; our own server writes it in one line); null for comments and other events. */
function dataOf(event: string): string | null {
  const lines = event.split('\n');
  if (!lines.some((line) => line === 'event: release')) return null;
  const data = lines.find((line) => line.startsWith('data: '));
  return data === undefined ? null : data.slice('data: '.length);
}

/** `data` of the envelope; throws REGISTRY_REFUSED where it is none. */
function parsed(text: string): unknown {
  try {
    const value = JSON.parse(text) as { readonly data?: unknown } | null;
    if (value !== null && typeof value === 'object' && 'data' in value) return value.data;
  } catch {
    // Told below.
  }
  throw new MillraceError(registryErrors.REGISTRY_REFUSED, 'the answer is not one of a registry: is the address right?');
}

/** The response of a 2xx or 304 answer, its body not read yet. */
function ask(address: RegistryAddress, path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const url = new URL(`${address.url.replace(/\/+$/, '')}${path}`);
  const authorization = address.token === null ? {} : { authorization: `Bearer ${address.token}` };
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, { headers: { ...headers, ...authorization }, signal: address.signal, agent: false }, (response) => {
      const { statusCode = 0 } = response;
      if ((statusCode >= 200 && statusCode < 300) || statusCode === 304) return resolve(response);
      response.resume();
      reject(refused(address, `it answered ${statusCode}`));
    });
    request.setTimeout(address.silenceMs, () => request.destroy(new Error(`nothing was heard for ${address.silenceMs} ms`)));
    request.on('error', (error) => reject(unreachable(address, error)));
    request.end();
  });
}

async function collected(response: IncomingMessage): Promise<readonly Buffer[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > RELEASE_BYTES_MAX) {
      response.destroy();
      throw new MillraceError(registryErrors.REGISTRY_REFUSED, `a release of more than ${RELEASE_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return chunks;
}

function refused(address: RegistryAddress, why: string): MillraceError {
  return new MillraceError(registryErrors.REGISTRY_REFUSED, `${address.url}: ${why}`);
}

function unreachable(address: RegistryAddress, cause: unknown): MillraceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new MillraceError(registryErrors.REGISTRY_UNREACHABLE, `${address.url}: ${code ?? message}`, {}, cause);
}
