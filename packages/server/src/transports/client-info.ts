import type { IncomingMessage } from 'node:http';
import { isJsonObject, type JsonObject } from '../kit/json.ts';

/** What a client says of itself: for usage figures only, never for a decision. At most 64 characters each. */
export type ClientInfo = { readonly name: string | null; readonly version: string | null };

const NAME_HEADERS = ['graphql-client-name', 'apollographql-client-name'];
const VERSION_HEADERS = ['graphql-client-version', 'apollographql-client-version'];

export function clientInfoOfHeaders(req: IncomingMessage): ClientInfo {
  return { name: firstHeader(req, NAME_HEADERS), version: firstHeader(req, VERSION_HEADERS) };
}

/** connection_init may say `clientName`, `clientVersion`; what it does not say the upgrade request may have said. */
export function clientInfoOfInit(payload: JsonObject | null, fallback: ClientInfo): ClientInfo {
  if (!isJsonObject(payload)) return fallback;
  return { name: short(payload['clientName']) ?? fallback.name, version: short(payload['clientVersion']) ?? fallback.version };
}

function firstHeader(req: IncomingMessage, names: readonly string[]): string | null {
  for (const name of names) {
    const value = short(req.headers[name]);
    if (value !== null) return value;
  }
  return null;
}

function short(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, 64) : null;
}

/** The peer's address as the socket tells it. Behind a proxy `server/` passes a function that trusts the proxy's header. */
export function socketAddress(req: IncomingMessage): string {
  return req.socket.remoteAddress ?? 'unknown';
}
