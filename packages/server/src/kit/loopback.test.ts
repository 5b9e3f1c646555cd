import { expect, it } from 'vitest';
import { isLoopbackHost } from './loopback.ts';

it.each(['localhost', 'LOCALHOST', 'board.localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]'])('%s is this machine', (host) => {
  expect(isLoopbackHost(host)).toBe(true);
});

it.each(['', '0.0.0.0', '::', '10.0.0.1', '127.evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'notlocalhost', '[::2]'])(
  '%s may be another',
  (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  },
);
