import { isUtf8 } from 'node:buffer';
import { nestsDeeperThan, textOf } from '../kit/json-bytes.ts';
import type { Json } from '../kit/json.ts';
import type { Document } from './decoded.ts';
import { type Reject, reject } from './errors.ts';

/** Levels of objects and arrays in one body. Deep enough for any real event, shallow enough for every recursive function behind. */
export const MAX_JSON_DEPTH = 64;

/** Bytes to JSON with every way to fail coded. Never throws. An empty document has no value. */
export function parseDocument(bytes: Uint8Array): Document | Reject {
  const body = withoutMark(bytes);
  if (!isUtf8(body)) return reject('BODY_NOT_UTF8', 'the body is not valid UTF-8');
  if (nestsDeeperThan(body, MAX_JSON_DEPTH)) return reject('JSON_TOO_DEEP', `the body nests deeper than ${MAX_JSON_DEPTH} levels`);
  try {
    const text = textOf(body, 0, body.length);
    return { bytes: body, text, value: JSON.parse(text) as Json };
  } catch (error) {
    return reject('JSON_INVALID', `the body is not valid JSON${placeOf(error)}`);
  }
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** V8 quotes the text around the fault, which may be anybody's data; only the position is passed on. */
function placeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const position = / at position (\d+)/.exec(message);
  if (position) return ` at character ${position[1]}`;
  return message.includes('end of JSON input') ? ': it ends too early' : '';
}
