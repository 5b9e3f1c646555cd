import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the generated documents are what their declarations say', () => {
  const { status, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL('docs.ts', import.meta.url)), '--check'], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
