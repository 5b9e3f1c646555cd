import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Io } from './command.ts';
import { usageError } from './errors.ts';

/** The content of a file, or of standard input for `-`. Rejects with USAGE where it cannot be read. */
export async function readInput(io: Io, path: string): Promise<string> {
  if (path === '-') return readStream(io.stdin);
  try {
    return readFileSync(resolve(io.cwd, path), 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw usageError(`cannot read ${path}: ${code === 'ENOENT' ? 'there is no such file' : (code ?? message)}`);
  }
}

async function readStream(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}
