import { systemRandom } from '../kit/random.ts';
import type { Comparable } from './filter-values.ts';

/** Another one in each process, so that nobody can choose keys that meet in one place. */
const SEED = Number.parseInt(systemRandom.hex(4), 16) | 0;
const FNV_PRIME = 16_777_619;

/** A 32-bit hash of text that can be taken further character by character: `hashEnd` of the state after n characters is the hash of those n. */
export const HASH_START: number = SEED ^ 0x811c9dc5;

export function hashStep(state: number, unit: number): number {
  return Math.imul(state ^ unit, FNV_PRIME);
}

export function hashEnd(state: number): number {
  return avalanche(state);
}

export function hashText(text: string): number {
  let state = HASH_START;
  for (let at = 0; at < text.length; at += 1) state = hashStep(state, text.charCodeAt(at));
  return avalanche(state);
}

export function hashKey(key: Comparable): number {
  switch (typeof key) {
    case 'string':
      return hashText(key);
    case 'number':
      return hashNumber(key);
    case 'boolean':
      return avalanche(SEED ^ (key ? 0x5bd1e995 : 0x1b873593));
    default:
      return avalanche(SEED ^ 0x2545f491);
  }
}

const double = new Float64Array(1);
const halves = new Int32Array(double.buffer);

function hashNumber(value: number): number {
  double[0] = value;
  return avalanche(Math.imul(halves[0]! ^ SEED, FNV_PRIME) ^ halves[1]!);
}

/** Every bit of the input moves every bit of the output: tables take the lowest bits, which of short keys are much alike. */
function avalanche(state: number): number {
  let mixed = state ^ (state >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

// ---- pieces of a text ---------------------------------------------------------------------------------------------------------

const BASE = 0x01000193 | 1;

/**
 * Calls `visit` with the hash of each piece of `length` characters, in the order in which they stand. Each hash is made from the one before,
 * so that a text costs its length whatever the length of the pieces.
 */
export function eachPiece(text: string, length: number, visit: (hash: number) => void): void {
  if (text.length < length) return;
  let power = 1;
  let rolling = SEED;
  for (let at = 0; at < length; at += 1) {
    rolling = (Math.imul(rolling, BASE) + text.charCodeAt(at)) | 0;
    if (at > 0) power = Math.imul(power, BASE);
  }
  // What the seed has become after so many steps is the same for all pieces: it leaves with the first character.
  rolling = (rolling - Math.imul(SEED, Math.imul(power, BASE))) | 0;
  visit(avalanche(rolling ^ SEED));
  for (let at = length; at < text.length; at += 1) {
    rolling = (Math.imul(rolling - Math.imul(text.charCodeAt(at - length), power), BASE) + text.charCodeAt(at)) | 0;
    visit(avalanche(rolling ^ SEED));
  }
}
