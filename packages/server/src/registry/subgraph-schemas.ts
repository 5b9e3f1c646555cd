import { readFile, stat } from 'node:fs/promises';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import { boundedText, fetchReason } from '../kit/fetch-answer.ts';
import { isJsonObject, type JsonObject } from '../kit/json.ts';
import { registryErrors } from './errors.ts';
import type { PushRequest } from './registry.ts';
import { LATEST } from './store.ts';
import type { SubgraphEntry } from './supergraph-config.ts';

/** Bytes of one schema, from a file or an address. */
export const SCHEMA_BYTES_MAX = 16 * 1024 * 1024;
const FETCH_TIMEOUT = 5000;

export type LoadedSchemas = {
  /** Of the entries whose schema could be read, in their order, as version `latest`. */
  readonly services: readonly PushRequest[];
  readonly failed: readonly { readonly name: string; readonly error: MillraceError }[];
};

/** Reads every schema, those by address at once. Never rejects: what could not be read is in `failed`, coded SUBGRAPH_SCHEMA_UNAVAILABLE. */
export async function loadSchemas(entries: readonly SubgraphEntry[]): Promise<LoadedSchemas> {
  const results = await Promise.all(
    entries.map(async (entry) => {
      try {
        return { kind: 'read', service: await loadEntry(entry) } as const;
      } catch (thrown) {
        return { kind: 'failed', name: entry.name, error: toMillraceError(thrown) } as const;
      }
    }),
  );
  return {
    services: results.flatMap((result) => (result.kind === 'read' ? [result.service] : [])),
    failed: results.flatMap((result) => (result.kind === 'failed' ? [result] : [])),
  };
}

async function loadEntry(entry: SubgraphEntry): Promise<PushRequest> {
  const [typeDefs, mappingDefs] = await Promise.all([
    readSource(entry),
    entry.mappingPath === null ? null : readText(entry.name, entry.mappingPath),
  ]);
  return { name: entry.name, version: LATEST, typeDefs, mappingDefs, url: entry.routingUrl, subscriptionUrl: entry.subscriptionUrl };
}

function readSource({ name, schema }: SubgraphEntry): Promise<string> {
  if (schema.kind === 'file') return readText(name, schema.path);
  if (schema.kind === 'url') return fetchSdl(name, schema.url, schema.headers);
  return Promise.resolve(schema.sdl);
}

async function readText(name: string, path: string): Promise<string> {
  try {
    if ((await stat(path)).size > SCHEMA_BYTES_MAX) throw new Error(`larger than ${SCHEMA_BYTES_MAX} bytes`);
    return await readFile(path, 'utf8');
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    throw unavailable(name, `${path} cannot be read (${code ?? message})`, thrown);
  }
}

/** Asks a subgraph for its SDL (Apollo Federation subgraph specification, `_service`). Rejects with SUBGRAPH_SCHEMA_UNAVAILABLE. */
export async function fetchSdl(name: string, url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const answer = await post(name, url, headers);
  const service = isJsonObject(answer['data']) ? answer['data']['_service'] : undefined;
  const sdl = isJsonObject(service) ? service['sdl'] : undefined;
  if (typeof sdl === 'string' && sdl !== '') return sdl;
  const first: unknown = Array.isArray(answer['errors']) ? answer['errors'][0] : undefined;
  const message = isJsonObject(first) ? first['message'] : undefined;
  const reason = typeof message === 'string' ? message.slice(0, 200) : 'no data._service.sdl in the answer';
  throw unavailable(name, `${url} does not answer { _service { sdl } }: ${reason}`);
}

async function post(name: string, url: string, headers: Readonly<Record<string, string>>): Promise<JsonObject> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
      body: '{"query":"{ _service { sdl } }"}',
      signal: AbortSignal.timeout(FETCH_TIMEOUT),
      redirect: 'error',
    });
    const answer: unknown = JSON.parse(await boundedText(response, SCHEMA_BYTES_MAX));
    if (!isJsonObject(answer)) throw new Error(`status ${response.status}, no JSON object`);
    return answer;
  } catch (thrown) {
    throw unavailable(name, `${url} cannot be asked for its schema (${fetchReason(thrown)})`, thrown);
  }
}

function unavailable(name: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError(registryErrors.SUBGRAPH_SCHEMA_UNAVAILABLE, `subgraph "${name}": ${what}`, { service: name }, cause);
}
