import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../kit/errors.ts';
import { isJsonObject, type JsonObject } from '../kit/json.ts';
import { registryErrors } from './errors.ts';

export const BODY_MAX = 16 * 1024 * 1024;

/** A JSON object; an empty body is `{}`. Rejects with BODY_TOO_LARGE before more than the limit is kept, or BODY_NOT_JSON. */
export async function readJsonBody(req: IncomingMessage): Promise<JsonObject> {
  const bytes = await readBody(req);
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isJsonObject(value)) return value;
  } catch (thrown) {
    throw new MillraceError(registryErrors.BODY_NOT_JSON, 'the body is not JSON in UTF-8', {}, thrown);
  }
  throw new MillraceError(registryErrors.BODY_NOT_JSON, 'the body must be a JSON object');
}

/** What is over the limit is read and thrown away up to this, so that the caller is still listening when the refusal comes. */
const DISCARD_MAX = 4 * BODY_MAX;

async function readBody(req: IncomingMessage): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > DISCARD_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not destroy the request, which would take the connection and our answer with it.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_MAX) chunks.push(chunk);
    else chunks.length = 0;
    if (size > DISCARD_MAX) break;
  }
  if (size > BODY_MAX) throw tooLarge();
  if ((req.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new MillraceError(registryErrors.BODY_NOT_JSON, 'the body must not be compressed: leave content-encoding out');
  }
  return Buffer.concat(chunks);
}

function tooLarge(): MillraceError {
  return new MillraceError(registryErrors.BODY_TOO_LARGE, `the body is larger than ${BODY_MAX} bytes`);
}
