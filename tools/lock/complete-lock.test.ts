import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Lock, completeLock, platformOf } from './complete-lock.ts';

it('the lock file of the repository is complete, so that `npm ci` takes it whatever the registry carries', () => {
  const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as Lock;
  expect(completeLock(lock).added).toEqual([]);
});

it('adds what is missing with its platform, once, and nothing else', () => {
  const lock: Lock = {
    packages: {
      '': { optionalDependencies: { fsevents: '~2.3.3' } },
      'node_modules/tool': {
        version: '1.0.0',
        dev: true,
        optionalDependencies: { '@tool/linux-x64-gnu': '1.0.0', '@tool/darwin-arm64': '1.0.0' },
      },
      'node_modules/@tool/linux-x64-gnu': { version: '1.0.0', optional: true },
    },
  };
  const { lock: complete, added } = completeLock(lock);
  expect(added).toEqual(['@tool/darwin-arm64']);
  expect(complete.packages['node_modules/@tool/darwin-arm64']).toEqual({
    version: '1.0.0',
    cpu: ['arm64'],
    os: ['darwin'],
    dev: true,
    optional: true,
  });
  expect(completeLock(complete)).toEqual({ lock: complete, added: [] });
});

it.each([
  ['@oxlint/binding-linux-arm64-musl', { os: ['linux'], cpu: ['arm64'], libc: ['musl'] }],
  ['@oxlint/binding-linux-arm-gnueabihf', { os: ['linux'], cpu: ['arm'], libc: ['glibc'] }],
  ['@oxlint-tsgolint/win32-x64', { os: ['win32'], cpu: ['x64'] }],
  ['fsevents', null],
])('reads the platform of %s', (name, platform) => expect(platformOf(name)).toEqual(platform));
