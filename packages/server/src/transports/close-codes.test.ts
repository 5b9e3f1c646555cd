import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { closeReasons } from '../live/close-reasons.ts';

describe('close codes', () => {
  it('are the same in spec/protocol.md and in code', () => {
    const spec = readFileSync(new URL('../../../../spec/protocol.md', import.meta.url), 'utf8');
    const section = spec.slice(spec.indexOf('### 3.3'), spec.indexOf('### 3.4'));
    const rows = [...section.matchAll(/^\| (\d{4}) \| ([^|]+) \| (\w+) \| `(\w+)` \|/gm)].map(([, code, reason, reconnect, label]) => ({
      code: Number(code),
      reason,
      reconnect,
      label,
    }));
    const byLabel = (a: { label?: string | undefined }, b: { label?: string | undefined }): number =>
      String(a.label).localeCompare(String(b.label));
    expect(rows.toSorted(byLabel)).toEqual(
      Object.values(closeReasons)
        .map((reason) => ({ ...reason }))
        .toSorted(byLabel),
    );
  });

  it('fit a close frame and have labels of their own', () => {
    const reasons = Object.values(closeReasons);
    for (const { reason } of reasons) expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(100);
    expect(new Set(reasons.map(({ label }) => label)).size).toBe(reasons.length);
  });
});
