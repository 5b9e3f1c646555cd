import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../kit/errors.ts';
import { decodeUtf8, readBody } from '../kit/http-message.ts';
import { isJsonObject, type JsonObject } from '../kit/json.ts';
import { registryErrors } from './errors.ts';

export const BODY_MAX = 16 * 1024 * 1024;

/** What is over the limit is read and thrown away up to this, so that the caller is still listening when the refusal comes. */
const DISCARD_MAX = 3 * BODY_MAX;

/** A JSON object; an empty body is `{}`. Rejects with BODY_TOO_LARGE before more than the limit is kept, or BODY_NOT_JSON. */
export async function readJsonBody(req: IncomingMessage): Promise<JsonObject> {
  const body = await readBody(req, BODY_MAX, { discard: DISCARD_MAX });
  if (body.kind === 'too-large') throw new MillraceError(registryErrors.BODY_TOO_LARGE, `the body is larger than ${BODY_MAX} bytes`);
  if (body.kind !== 'body') throw notJson('the request ended before its body did');
  if ((req.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw notJson('the body must not be compressed: leave content-encoding out');
  return body.bytes.length === 0 ? {} : parseObject(body.bytes);
}

function parseObject(bytes: Uint8Array): JsonObject {
  const text = decodeUtf8(bytes);
  if (text === null) throw notJson('the body is not JSON in UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw notJson('the body is not JSON in UTF-8', thrown);
  }
  if (isJsonObject(value)) return value;
  throw notJson('the body must be a JSON object');
}

function notJson(message: string, cause?: unknown): MillraceError {
  return new MillraceError(registryErrors.BODY_NOT_JSON, message, {}, cause);
}
