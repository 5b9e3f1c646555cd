import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './machine.ts';

/** What Millrace is measured beside is no part of the repository's packages: it is installed by who measures, once. */
export function installPeers(): void {
  const { status } = spawnSync(process.execPath, [join(ROOT, 'tools/bootstrap/install-peers.mjs')], { stdio: ['ignore', 2, 'inherit'] });
  if (status !== 0) throw new Error('the peers could not be installed');
}
