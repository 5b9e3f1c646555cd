import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../kit/errors.ts';
import type { CursorKey } from '../live/cursors.ts';
import type { Config } from './config.ts';
import { serverErrors } from './errors.ts';

/**
 * The keys that sign and verify cursors: the configured one, the same on every edge, or one of this data folder's own. Its id comes from
 * the secret itself, so that edges agree on it without being told.
 */
export function cursorKeys({ key, previousKey }: Config['cursor'], dataDir: string): readonly CursorKey[] {
  const first = key === null ? ownKey(join(dataDir, 'cursor.key')) : Buffer.from(key);
  const keys = [first, ...(previousKey === null ? [] : [Buffer.from(previousKey)])].map((secret) => ({ id: idOf(secret), secret }));
  if (keys.length > 1 && keys[0]!.id === keys[1]!.id) {
    throw new MillraceError(
      serverErrors.CURSOR_KEYS_ALIKE,
      'cursor.key and cursor.previousKey have the same id: choose another cursor.key',
    );
  }
  return keys;
}

function idOf(secret: Uint8Array): number {
  return createHash('sha256').update(secret).digest()[0]!;
}

function ownKey(path: string): Buffer {
  try {
    const kept = readFileSync(path);
    if (kept.length >= 32) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const made = randomBytes(32);
  writeFileSync(path, made, { mode: 0o600 });
  return made;
}
