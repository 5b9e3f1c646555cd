import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type OneSite, startOne } from '../lib/one.ts';
import { pause } from '../lib/pause.ts';
import type { Fault } from '../lib/run.ts';
import type { Topology } from '../lib/site.ts';
import { owning } from '../lib/owning.ts';

type SmallDiskSite = OneSite & { readonly disk: string };

const run = promisify(execFile);
const BLOCK = Buffer.alloc(64 * 1024);

/** The data of the process lies on a file system of 32 MB in memory, which only the super-user can mount. */
const smallDisk: Topology<SmallDiskSite> = {
  name: 'one process, its data on a small disk',
  needs: [],
  async start(folder) {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'millrace-chaos', disk]);
    await using opening = new AsyncDisposableStack();
    opening.defer(async () => void (await run('umount', ['--lazy', disk])));
    const site = opening.use(await startOne(folder, join(disk, 'data')));
    return owning(opening, { ...site, disk });
  },
};

export const canMount = process.getuid?.() === 0;

export const diskFull: Fault<SmallDiskSite> = {
  name: 'disk-full',
  title: 'the disk of the embedded log is full to the last byte for a while',
  topology: smallDisk,
  gaps: 'none',
  async strike({ disk }, chance) {
    const filler = join(disk, 'filler');
    fill(filler);
    await pause(chance, 300, 800);
    rmSync(filler);
  },
};

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let block = BLOCK; block.length > 0;) {
      try {
        writeSync(file, block);
      } catch {
        // ENOSPC: smaller pieces, until not even a byte is left.
        block = block.subarray(0, block.length >> 1);
      }
    }
  } finally {
    closeSync(file);
  }
}
