import { chownSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tellGuardian } from './guardian.ts';

export type Owner = { readonly uid: number; readonly gid: number };

/** A temporary folder for a service's data and logs. It is removed with `removeFolder`, or when this process dies. */
export function makeFolder(service: string, owner: Owner | null = null): string {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${service}-`));
  tellGuardian('folder', folder);
  if (owner) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

/** With a few tries: a helper of a server that was killed may still write its last file. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  tellGuardian('removed', folder);
}
