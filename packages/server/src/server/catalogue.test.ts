import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { cliErrors } from '../cli/errors.ts';
import { catalogue } from './catalogue.ts';

const SOURCE = fileURLToPath(new URL('../', import.meta.url));
const all = [...catalogue.flatMap(({ errors }) => errors), ...Object.values(cliErrors)];

it('a code means the same to a program wherever it comes from', () => {
  const first = new Map<string, string>();
  for (const { code, class: kind, http, retryable } of all) {
    const meaning = `${kind} ${http} ${retryable}`;
    expect(`${code}: ${meaning}`).toBe(`${code}: ${first.get(code) ?? meaning}`);
    first.set(code, meaning);
  }
});

it('every error that a room declares is in the catalogue', () => {
  const known = new Set(all.map(({ code }) => code));
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('errors.ts'));
  const declared = files.flatMap((path) =>
    [...readFileSync(`${SOURCE}${path}`, 'utf8').matchAll(/^ {2}([A-Z][A-Z0-9_]+): \{/gm)].map((match) => match[1]!),
  );
  expect(declared.length).toBeGreaterThan(50);
  expect(declared.filter((code) => !known.has(code))).toEqual([]);
});

it('every error says what it means, what to do, with a status that fits its class', () => {
  for (const { code, class: kind, http, meaning, action } of all) {
    expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    expect(meaning.length, code).toBeGreaterThan(10);
    expect(action.length, code).toBeGreaterThan(4);
    if (kind === 'auth') expect([401, 403], code).toContain(http);
    else expect(http >= (kind === 'internal' ? 500 : 400) && http < 600, code).toBe(true);
  }
});
