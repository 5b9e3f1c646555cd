import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { OriginPolicy } from '../kit/origin-policy.ts';
import { sseAuthorization } from './sse-authority.ts';

describe('the cookie where every origin is allowed', () => {
  const policy = new OriginPolicy({ allowed: '*', loopback: false });
  const authorization = (origin: string): string | undefined => {
    const headers = { host: 'api.example.com', origin, cookie: 'millrace_token=ann' };
    return sseAuthorization({ headers } as unknown as IncomingMessage, policy.judge(headers), policy.any);
  };

  test('is not taken from a page of another origin, which would act as whoever opens it', () => {
    expect(() => authorization('https://evil.example')).toThrow(expect.objectContaining({ code: 'COOKIE_WITHOUT_ORIGIN' }));
  });

  test('is taken from our own page', () => {
    expect(authorization('https://api.example.com')).toBe('Bearer ann');
  });
});
