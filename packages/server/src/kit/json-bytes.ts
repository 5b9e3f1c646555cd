/**
 * Finds values inside UTF-8 JSON text without parsing it, so that their exact bytes can be kept: digits of numbers, order of
 * keys and duplicate keys survive, which no parse and re-serialise can promise. Nothing here validates: on text that
 * `JSON.parse` accepts the answers are exact, on other text they are some answer or `-1`/null, never a throw and never a loop.
 * Structural characters are ASCII and cannot occur inside a multi-byte sequence, so bytes are enough.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** `end` is exclusive. */
export type Span = { readonly start: number; readonly end: number };

export function skipSpace(bytes: Uint8Array, from: number, end: number): number {
  let i = from;
  while (i < end) {
    const c = bytes[i];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
    i++;
  }
  return i;
}

/** Index after the closing quote; -1 where the string does not end. `from` is the opening quote. */
function skipString(bytes: Uint8Array, from: number, end: number): number {
  for (let i = from + 1; i < end; i++) {
    const c = bytes[i];
    if (c === BACKSLASH) i++;
    else if (c === QUOTE) return i + 1;
  }
  return -1;
}

/** Index after the value that starts at `from`; -1 where there is none or it does not end before `end`. */
export function skipValue(bytes: Uint8Array, from: number, end: number): number {
  const first = bytes[from];
  if (from >= end) return -1;
  if (first === QUOTE) return skipString(bytes, from, end);
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) return skipScalar(bytes, from, end);
  let depth = 0;
  for (let i = from; i < end; i++) {
    const c = bytes[i];
    if (c === QUOTE) {
      i = skipString(bytes, i, end) - 1;
      if (i < 0) return -1;
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) depth++;
    else if ((c === CLOSE_OBJECT || c === CLOSE_ARRAY) && --depth === 0) return i + 1;
  }
  return -1;
}

function skipScalar(bytes: Uint8Array, from: number, end: number): number {
  let i = from;
  for (; i < end; i++) {
    const c = bytes[i] ?? 0;
    if (c <= 0x20 || c === COMMA || c === COLON || c === QUOTE) break;
    if (c === OPEN_OBJECT || c === OPEN_ARRAY || c === CLOSE_OBJECT || c === CLOSE_ARRAY) break;
  }
  return i === from ? -1 : i;
}

/** Whether brackets nest deeper than `max`. Asked before parsing, so that nothing behind has to fear for its stack. */
export function nestsDeeperThan(bytes: Uint8Array, max: number): boolean {
  const end = bytes.length;
  if (end < max * 2) return false;
  let depth = 0;
  for (let i = 0; i < end; i++) {
    const c = bytes[i];
    if (c === QUOTE) {
      i = skipString(bytes, i, end) - 1;
      if (i < 0) return false;
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (++depth > max) return true;
    } else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) depth--;
  }
  return false;
}

/** The value at `path` below the value at `from`. Of duplicate keys the last counts, as in `JSON.parse`. */
export function findPath(bytes: Uint8Array, from: number, end: number, path: readonly string[]): Span | null {
  let start = skipSpace(bytes, from, end);
  let stop = skipValue(bytes, start, end);
  for (const step of path) {
    if (stop < 0) return null;
    const found = bytes[start] === OPEN_ARRAY ? findElement(bytes, start, stop, step) : findMember(bytes, start, stop, step);
    if (!found) return null;
    start = found.start;
    stop = found.end;
  }
  return stop < 0 ? null : { start, end: stop };
}

function findMember(bytes: Uint8Array, start: number, end: number, name: string): Span | null {
  let found: Span | null = null;
  eachMember(bytes, start, end, (keyStart, keyEnd, valueStart, valueEnd) => {
    if (keyIs(bytes, keyStart, keyEnd, name)) found = { start: valueStart, end: valueEnd };
  });
  return found;
}

function findElement(bytes: Uint8Array, start: number, end: number, index: string): Span | null {
  const spans = elementSpans(bytes, start, end, Number.POSITIVE_INFINITY);
  return spans.kind === 'elements' ? (spans.elements[Number(index)] ?? null) : null;
}

/** The members of an object by name, in order of first appearance, each with the span of its last value. */
export function memberSpans(bytes: Uint8Array, start: number, end: number): Map<string, Span> {
  const members = new Map<string, Span>();
  eachMember(bytes, start, end, (keyStart, keyEnd, valueStart, valueEnd) => {
    const key = keyText(bytes, keyStart, keyEnd);
    if (key !== null) members.set(key, { start: valueStart, end: valueEnd });
  });
  return members;
}

/** `visit` gets the key's span including its quotes and the value's span. Stops at the first thing that is not JSON. */
function eachMember(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void,
): void {
  if (bytes[start] !== OPEN_OBJECT) return;
  let i = skipSpace(bytes, start + 1, end);
  while (i < end && bytes[i] === QUOTE) {
    const keyEnd = skipString(bytes, i, end);
    if (keyEnd < 0) return;
    const colon = skipSpace(bytes, keyEnd, end);
    if (bytes[colon] !== COLON) return;
    const valueStart = skipSpace(bytes, colon + 1, end);
    const valueEnd = skipValue(bytes, valueStart, end);
    if (valueEnd < 0) return;
    visit(i, keyEnd, valueStart, valueEnd);
    const comma = skipSpace(bytes, valueEnd, end);
    if (bytes[comma] !== COMMA) return;
    i = skipSpace(bytes, comma + 1, end);
  }
}

function keyIs(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start - 2 !== name.length) return keyIsSlow(bytes, start, end, name);
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    // Beyond ASCII a byte is not a character, and after a backslash it is not itself: equal bytes may be another name.
    if (c > 0x7f || c === BACKSLASH || bytes[start + 1 + i] !== c) return keyIsSlow(bytes, start, end, name);
  }
  return true;
}

/** Only a key with escapes or non-ASCII characters can equal `name` without having its bytes. */
function keyIsSlow(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  for (let i = start + 1; i < end - 1; i++) {
    const c = bytes[i] ?? 0;
    if (c === BACKSLASH || c > 0x7f) return keyText(bytes, start, end) === name;
  }
  return false;
}

function keyText(bytes: Uint8Array, start: number, end: number): string | null {
  try {
    return JSON.parse(textOf(bytes, start, end)) as string;
  } catch {
    return null;
  }
}

export type Elements =
  | { readonly kind: 'elements'; readonly elements: readonly Span[] }
  | { readonly kind: 'too-many' }
  /** Not an array, or not closed, or something between two elements that is no comma. */
  | { readonly kind: 'malformed'; readonly at: number };

/** The elements of the array at `start`, which must fill the text up to `end` but for white space. */
export function elementSpans(bytes: Uint8Array, start: number, end: number, max: number): Elements {
  if (bytes[start] !== OPEN_ARRAY) return { kind: 'malformed', at: start };
  const elements: Span[] = [];
  let i = skipSpace(bytes, start + 1, end);
  if (bytes[i] === CLOSE_ARRAY) return closed(bytes, i, end, elements);
  while (i < end) {
    const stop = skipValue(bytes, i, end);
    if (stop < 0) return { kind: 'malformed', at: i };
    if (elements.length >= max) return { kind: 'too-many' };
    elements.push({ start: i, end: stop });
    const next = skipSpace(bytes, stop, end);
    if (bytes[next] === CLOSE_ARRAY) return closed(bytes, next, end, elements);
    if (bytes[next] !== COMMA) return { kind: 'malformed', at: next };
    i = skipSpace(bytes, next + 1, end);
  }
  return { kind: 'malformed', at: end };
}

function closed(bytes: Uint8Array, bracket: number, end: number, elements: readonly Span[]): Elements {
  const rest = skipSpace(bytes, bracket + 1, end);
  return rest < end ? { kind: 'malformed', at: rest } : { kind: 'elements', elements };
}

/** A view without a copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return bufferOf(bytes).toString('utf8', start, end);
}

/**
 * JSON text on one line. A raw line break is never inside a JSON string, so what starts with one is white space between tokens.
 * (The pattern begins with the break: one that begins with blanks takes quadratic time on a long run of blanks.)
 */
export function oneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n][ \t\r\n]*/g, '') : text;
}
