import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { MillraceError } from '../kit/errors.ts';
import { isJsonObject, type JsonObject, ownMember } from '../kit/json.ts';
import { registryErrors } from './errors.ts';
import { SERVICES_MAX } from './requests.ts';

/** Where the schema of a subgraph comes from; paths are absolute. */
export type SchemaSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'text'; readonly sdl: string };

export type SubgraphEntry = {
  readonly name: string;
  readonly routingUrl: string;
  readonly subscriptionUrl: string | null;
  readonly schema: SchemaSource;
  /** Millrace's own: a document of type extensions with @live beside the schema. */
  readonly mappingPath: string | null;
};

const TOP_KEYS = ['federation_version', 'subgraphs'];
const SUBGRAPH_KEYS = ['routing_url', 'subscription_url', 'schema', 'mapping'];

/** Reads rover's `supergraph.yaml`. Rejects with SUPERGRAPH_CONFIG_INVALID naming file, key (or line), what was got and what it takes. */
export async function readSupergraphConfig(path: string): Promise<readonly SubgraphEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    throw new MillraceError(
      registryErrors.SUPERGRAPH_CONFIG_INVALID,
      `${path} cannot be read (${code ?? 'unknown'}): check the path`,
      { path },
      thrown,
    );
  }
  return parseSupergraphConfig(text, path);
}

/** `path` is where the text comes from: schema files are relative to its folder. */
export function parseSupergraphConfig(text: string, path: string): readonly SubgraphEntry[] {
  const reader = new ConfigReader(path);
  const root = parseYaml(text, reader);
  reader.only(root, TOP_KEYS, '');
  const subgraphs = reader.object(root, 'subgraphs', '');
  const entries = Object.entries(subgraphs);
  if (entries.length === 0 || entries.length > SERVICES_MAX)
    throw reader.fault('subgraphs', `has ${entries.length} entries, takes 1 to ${SERVICES_MAX}`);
  return entries.map(([name, value]) => toEntry(reader, name, value));
}

function parseYaml(text: string, reader: ConfigReader): JsonObject {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const error = document.errors[0];
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw reader.fault(`line ${line}, column ${col}`, `is not YAML: ${error.message.split('\n')[0] ?? ''}`);
  }
  let value: unknown;
  try {
    // Bounded: a few lines of aliases could otherwise stand for gigabytes.
    value = document.toJS({ maxAliasCount: 100 });
  } catch (thrown) {
    throw reader.fault('the document', 'uses too many aliases', thrown);
  }
  if (!isJsonObject(value)) throw reader.fault('the document', 'must be a mapping with the key subgraphs');
  return value;
}

function toEntry(reader: ConfigReader, name: string, value: unknown): SubgraphEntry {
  const at = `subgraphs.${name}`;
  if (name === '' || name.length > 200) throw reader.fault(at, 'has a name of 1 to 200 characters');
  if (!isJsonObject(value)) throw reader.fault(at, 'must be a mapping with routing_url and schema');
  reader.only(value, SUBGRAPH_KEYS, `${at}.`);
  const schema = toSource(reader, reader.object(value, 'schema', `${at}.`), `${at}.schema`);
  const given = reader.address(value, 'routing_url', `${at}.`, ['http:', 'https:']);
  const routingUrl = given ?? (schema.kind === 'url' ? schema.url : null);
  if (routingUrl === null) throw reader.fault(`${at}.routing_url`, 'is missing: give the address that serves this subgraph');
  const mapping = Object.hasOwn(value, 'mapping') ? reader.object(value, 'mapping', `${at}.`) : null;
  if (mapping) reader.only(mapping, ['file'], `${at}.mapping.`);
  return {
    name,
    routingUrl,
    subscriptionUrl: reader.address(value, 'subscription_url', `${at}.`, ['http:', 'https:', 'ws:', 'wss:']),
    schema,
    mappingPath: mapping ? reader.file(mapping, `${at}.mapping.`) : null,
  };
}

function toSource(reader: ConfigReader, schema: JsonObject, at: string): SchemaSource {
  if (Object.hasOwn(schema, 'graphref')) throw reader.fault(`${at}.graphref`, 'is not supported: use file or subgraph_url');
  reader.only(schema, ['file', 'subgraph_url', 'introspection_headers', 'sdl'], `${at}.`);
  const kinds = ['file', 'subgraph_url', 'sdl'].filter((key) => Object.hasOwn(schema, key));
  if (kinds.length !== 1)
    throw reader.fault(
      at,
      `has ${kinds.length === 0 ? 'no source' : kinds.join(' and ')}, takes exactly one of file, subgraph_url and sdl`,
    );
  if (kinds[0] === 'file') return { kind: 'file', path: reader.file(schema, `${at}.`) };
  if (kinds[0] === 'sdl') return { kind: 'text', sdl: reader.text(schema, 'sdl', `${at}.`) };
  const url = reader.address(schema, 'subgraph_url', `${at}.`, ['http:', 'https:']);
  if (url === null) throw reader.fault(`${at}.subgraph_url`, 'is empty');
  return { kind: 'url', url, headers: toHeaders(reader, schema, at) };
}

function toHeaders(reader: ConfigReader, schema: JsonObject, at: string): Readonly<Record<string, string>> {
  if (!Object.hasOwn(schema, 'introspection_headers')) return {};
  const headers = reader.object(schema, 'introspection_headers', `${at}.`);
  const names = Object.keys(headers).map((key) => [key, reader.text(headers, key, `${at}.introspection_headers.`)] as const);
  try {
    return Object.fromEntries(new Headers(names.map(([key, value]): [string, string] => [key, value])));
  } catch (thrown) {
    throw reader.fault(`${at}.introspection_headers`, 'has a name or a value that HTTP does not allow', thrown);
  }
}

/** Reads keys of the document and names their place in every fault. Values are not shown: headers may be secrets. */
class ConfigReader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  fault(place: string, what: string, cause?: unknown): MillraceError {
    return new MillraceError(
      registryErrors.SUPERGRAPH_CONFIG_INVALID,
      `${this.#path}: ${place} ${what}`,
      { path: this.#path, place },
      cause,
    );
  }

  only(object: JsonObject, keys: readonly string[], prefix: string): void {
    const unknown = Object.keys(object).find((key) => !keys.includes(key));
    if (unknown !== undefined) throw this.fault(`${prefix}${unknown}`, `is not known here; known are ${keys.join(', ')}`);
  }

  object(object: JsonObject, key: string, prefix: string): JsonObject {
    const value = ownMember(object, key);
    if (!isJsonObject(value)) throw this.fault(`${prefix}${key}`, value === undefined ? 'is missing' : 'must be a mapping');
    return value;
  }

  text(object: JsonObject, key: string, prefix: string): string {
    const value = ownMember(object, key);
    if (typeof value !== 'string' || value === '')
      throw this.fault(`${prefix}${key}`, value === undefined ? 'is missing' : 'must be a text that is not empty');
    return value;
  }

  file(object: JsonObject, prefix: string): string {
    return resolve(dirname(this.#path), this.text(object, 'file', prefix));
  }

  address(object: JsonObject, key: string, prefix: string, protocols: readonly string[]): string | null {
    if (!Object.hasOwn(object, key)) return null;
    const text = this.text(object, key, prefix);
    if (text.length <= 255 && protocols.includes(URL.parse(text)?.protocol ?? '')) return text;
    throw this.fault(
      `${prefix}${key}`,
      `must be an address of at most 255 characters that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    );
  }
}
