import { describe, expect, it } from 'vitest';
import { corsHeaders, OriginPolicy } from './origin-policy.ts';

describe('OriginPolicy', () => {
  const listed = new OriginPolicy({ allowed: ['https://App.example.com/'], loopback: false });

  it.each([
    [{ host: 'api.example.com', origin: 'https://api.example.com' }, 'allowed'],
    [{ host: 'api.example.com:443', origin: 'https://api.example.com' }, 'allowed'],
    [{ host: 'api.example.com:8443', origin: 'https://api.example.com' }, 'refused'],
    [{ host: 'api.example.com', origin: 'https://app.example.com' }, 'allowed'],
    [{ host: 'api.example.com', origin: 'http://app.example.com' }, 'refused'],
    [{ host: 'api.example.com', origin: 'https://evil.example' }, 'refused'],
    [{ host: 'api.example.com', origin: 'null' }, 'refused'],
    [{ host: 'api.example.com', origin: '' }, 'refused'],
    [{ host: 'api.example.com', origin: 'http://localhost:5173' }, 'refused'],
    [{ origin: 'https://api.example.com' }, 'refused'],
    [{ host: 'api.example.com' }, 'absent'],
  ])('%j is %s', (headers, kind) => {
    expect(listed.judge(headers).kind).toBe(kind);
  });

  it('takes loopback pages where development asks for it, and nothing that only looks like one', () => {
    const dev = new OriginPolicy({ allowed: [], loopback: true });
    const kinds = [
      'http://localhost:5173',
      'http://127.0.0.1:1',
      'https://[::1]',
      'http://board.localhost:3000',
      'http://localhost.evil.example',
      'http://127.0.0.1.evil.example',
      'http://notlocalhost',
    ].map((origin) => dev.judge({ host: 'x', origin }).kind);
    expect(kinds).toEqual(['allowed', 'allowed', 'allowed', 'allowed', 'refused', 'refused', 'refused']);
  });

  it('never offers credentials where every origin is allowed', () => {
    const any = new OriginPolicy({ allowed: '*', loopback: false });
    const headers = corsHeaders(any.judge({ host: 'x', origin: 'https://a.example' }), any, { credentials: true });
    expect(headers['access-control-allow-origin']).toBe('https://a.example');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  it('tells a same-origin fetch from one that says nothing', () => {
    expect(listed.judge({ host: 'x', 'sec-fetch-site': 'same-origin' })).toEqual({ kind: 'absent', sameOriginFetch: true });
    expect(listed.judge({ host: 'x', 'sec-fetch-site': 'cross-site' })).toEqual({ kind: 'absent', sameOriginFetch: false });
  });
});
