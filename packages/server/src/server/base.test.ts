import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createBase } from './base.ts';
import { defaultConfig } from './config.ts';

test('the data folder is readable by its owner alone: it holds the events of every tenant', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-base-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const dataDir = join(folder, 'new', 'data');
  await using closing = new AsyncDisposableStack();
  createBase({ ...(await defaultConfig('dev')), dataDir }, closing);
  expect((statSync(dataDir).mode & 0o777).toString(8)).toBe('700');
});
