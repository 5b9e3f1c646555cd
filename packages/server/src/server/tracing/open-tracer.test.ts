import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readHeaders } from './open-tracer.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-tracing-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const path = join(folder, 'headers');
  writeFileSync(path, text);
  return path;
}

it('reads headers, and skips blank lines and comments', () => {
  expect(readHeaders(fileOf('# ours\n\nAuthorization: Bearer a b=\r\nx-team:live\n'))).toEqual({
    authorization: 'Bearer a b=',
    'x-team': 'live',
  });
});

it.each(['hunter2', 'x hunter2: y', 'x: ', ': hunter2', 'x: hunter2\u0000'])('refuses %j by its number and does not show it', (line) => {
  const failure = (): unknown => readHeaders(fileOf(`a: b\n${line}\n`));
  expect(failure).toThrow(expect.objectContaining({ code: 'TRACING_HEADERS_INVALID', message: expect.stringContaining('line 2') }));
  expect(failure).not.toThrow(/hunter2/);
});

it('names a file that is not there', () => {
  expect(() => readHeaders(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE' }));
});
