import { createHash } from 'node:crypto';
import { Kind, parse, print } from 'graphql';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { registryErrors } from './errors.ts';
import type { SubscriptionRequest } from './requests.ts';
import { schemaDigest } from './schema-identity.ts';
import type { RegistryStore, SubscriptionRow } from './store.ts';

/** Documents kept; each at most 1 MiB. */
export const PERSISTED_MAX = 100_000;

const KEY = /^(?:apq:)?([0-9a-f]{64})$/;

/** Stores a document under its own hash. Rejects with PERSISTED_QUERY_HASH, PERSISTED_QUERY_INVALID, PERSISTED_QUERY_LIMIT. */
export async function persistQuery(store: RegistryStore, clock: Clock, key: string, value: string): Promise<void> {
  const hash = createHash('sha256').update(value).digest('hex');
  if (KEY.exec(key)?.[1] !== hash) {
    throw new MillraceError(
      registryErrors.PERSISTED_QUERY_HASH,
      '"key" must be the SHA-256 of "value" in lower-case hex, with or without the prefix apq:',
    );
  }
  checkExecutable(value);
  const kept = await store.persistQuery(hash, value, new Date(clock.now()).toISOString(), PERSISTED_MAX);
  if (!kept) throw new MillraceError(registryErrors.PERSISTED_QUERY_LIMIT, `${PERSISTED_MAX} documents are persisted already`);
}

export async function persistedQuery(store: RegistryStore, key: string): Promise<string | null> {
  const hash = KEY.exec(key)?.[1];
  return hash === undefined ? null : store.persistedQuery(hash);
}

function checkExecutable(value: string): void {
  try {
    const { definitions } = parse(value, { noLocation: true });
    if (definitions.every((d) => d.kind === Kind.OPERATION_DEFINITION || d.kind === Kind.FRAGMENT_DEFINITION)) return;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : 'it does not parse';
    throw new MillraceError(registryErrors.PERSISTED_QUERY_INVALID, `"value" is not a GraphQL document: ${reason}`, {}, thrown);
  }
  throw new MillraceError(registryErrors.PERSISTED_QUERY_INVALID, '"value" must hold operations and fragments only');
}

export function pushSubscriptions(store: RegistryStore, clock: Clock, request: SubscriptionRequest): Promise<SubscriptionRow> {
  const digest = schemaDigest(request.name, request.typeDefs, null);
  return store.pushSubscriptions({ ...request, digest }, new Date(clock.now()).toISOString());
}

/** Texts of the definitions of a stored, hence parseable, document. */
export function definitionsOf(row: SubscriptionRow): readonly string[] {
  return parse(row.typeDefs, { noLocation: true }).definitions.map((definition) => print(definition));
}
