import { describe, expect, it } from 'vitest';
import { judge } from './ratchet.ts';
import { banned } from './rules/banned.ts';
import { declaredImports } from './rules/declared-imports.ts';
import { dependencies } from './rules/dependencies.ts';
import { escapeHatches } from './rules/escape-hatches.ts';
import { importDirection } from './rules/import-direction.ts';
import { anchorsOf, links } from './rules/links.ts';
import { fileNames } from './rules/names.ts';
import { sizes } from './rules/sizes.ts';
import { type Manifest, type Rule, SourceFile } from './source-file.ts';

function findings(rule: Rule, files: Readonly<Record<string, string>>, manifests: Readonly<Record<string, Manifest>> = {}): string[] {
  const sources = Object.entries(files).map(([path, text]) => new SourceFile(path, text));
  const repository = { root: '/nowhere', files: sources, manifests: new Map(Object.entries(manifests)) };
  return rule.check(repository).map(({ path, line, message }) => `${path}:${line} ${message}`);
}

const room = (path: string): string => `packages/server/src/${path}`;

describe('import-direction', () => {
  const imports = (from: string, to: string): string[] => findings(importDirection, { [room(from)]: `import { x } from '${to}';` });

  it.each([
    ['ingest/ingest-worker.ts', '../brokers/event-source.ts'],
    ['server/start-server.ts', '../transports/websocket.ts'],
    ['transports/websocket.ts', '../live/session.ts'],
    ['transports/websocket.ts', '../kit/errors.ts'],
    ['gateway/pipeline.ts', '../live/operations.ts'],
    ['live/group.ts', './matcher.ts'],
    ['index.ts', './server/config.ts'],
    ['live/group.test.ts', '../ingest/fakes.ts'],
    ['registry/store.test.ts', '../../../../tools/services/shared.ts'],
  ])('lets %s import %s', (from, to) => expect(imports(from, to)).toEqual([]));

  it.each([
    ['kit/log.ts', '../events/record.ts'],
    ['ingest/ingest-worker.ts', '../live/group.ts'],
    ['live/group.ts', '../ingest/ingest-worker.ts'],
    ['channels/memory.ts', '../brokers/embedded-log.ts'],
    ['transports/websocket.ts', '../live/group.ts'],
    ['transports/websocket.ts', '../gateway/pipeline.ts'],
    ['gateway/pipeline.ts', '../live/group.ts'],
    ['live/group.ts', '../transports/websocket.ts'],
    ['server/config.ts', '../cli/main.ts'],
    ['kit/log.ts', '../pantry/jam.ts'],
    ['kit/log.ts', '../../../../tools/test.ts'],
    ['kit/log.ts', '../../../../tools/services/shared.ts'],
    ['kit/log.test.ts', '../../../../tools/test.ts'],
  ])('does not let %s import %s', (from, to) => expect(imports(from, to)).toHaveLength(1));

  it('sees re-exports, types and dynamic imports', () => {
    const text = `export * from '../cli/a.ts';\nimport type { T } from '../cli/b.ts';\nconst x = await import('../cli/c.ts');\nexport type { U } from '../cli/d.ts';`;
    expect(findings(importDirection, { [room('kit/a.ts')]: text }).map((line) => line.split(' ')[0])).toEqual(
      [1, 2, 3, 4].map((line) => `${room('kit/a.ts')}:${line}`),
    );
  });
});

it('declared-imports wants what a file imports beside it', () => {
  const manifests = {
    '': { devDependencies: { vitest: '1', ws: '1' } },
    'packages/server': { name: 'millrace', dependencies: { pino: '1' } },
  };
  const at = (path: string, text: string): string[] => findings(declaredImports, { [path]: text }, manifests);
  expect(at(room('kit/log.ts'), `import 'pino'; import 'node:fs'; import 'fs'; import './x.ts';`)).toEqual([]);
  expect(at(room('kit/log.ts'), `import 'ws';`)).toEqual([`${room('kit/log.ts')}:1 ws is not declared in packages/server/package.json`]);
  expect(at(room('kit/log.test.ts'), `import 'vitest'; import 'ws/deep.js';`)).toEqual([]);
  expect(at('tools/x.ts', `import '@scope/name/deep';`)).toEqual(['tools/x.ts:1 @scope/name is not declared in package.json']);
});

it('sizes counts lines of files and functions, but not of lists of tests', () => {
  const long = (lines: number, inner = ''): string => `export function f() {\n${inner}${'  g();\n'.repeat(lines - 2)}}\n`;
  expect(findings(sizes, { 'tools/a.ts': long(70) })).toEqual([]);
  expect(findings(sizes, { 'tools/a.ts': long(71) })).toEqual(['tools/a.ts:1 a function of 71 lines; at most 70']);
  expect(findings(sizes, { 'tools/a.ts': 'a();\n'.repeat(701) })).toEqual(['tools/a.ts:1 701 lines; a file has at most 700']);
  expect(findings(sizes, { 'tools/a.test.ts': long(80, `it('x', () => {});`) })).toEqual([]);
});

it('escape-hatches finds any and switched-off checks, and no mere words', () => {
  const text = `// @ts-ignore\nlet x: any;\nconst any = 'any';\n/* @ts-expect-error */\n`;
  expect(findings(escapeHatches, { [room('kit/a.ts')]: text })).toHaveLength(3);
  expect(findings(escapeHatches, { 'tools/a.ts': text, [room('kit/a.test.ts')]: '// @ts-expect-error: must not compile' })).toEqual([]);
});

describe('banned', () => {
  it.each([
    ['live/a.ts', 'Date.now();'],
    ['live/a.ts', 'setTimeout(f, 1);'],
    ['live/a.ts', 'const d = new Date();'],
    ['live/a.ts', 'const x = Math.random();'],
    ['live/a.ts', 'console.log(1);'],
    ['server/start-server.ts', 'const { PORT } = process.env;'],
    ['server/start-server.ts', `const port = process.env['PORT'];`],
    ['live/a.ts', 'process.exit(1);'],
    ['kit/a.ts', 'await Promise.race([a, b]);'],
    ['kit/a.ts', 'AbortSignal.any([a]);'],
    ['kit/a.test.ts', `it.only('x', () => {});`],
    ['kit/a.test.ts', `describe.skip.only('x', () => {});`],
    ['kit/a.test.ts', 'await new Promise((resolve) => setTimeout(resolve, 100));'],
    ['kit/a.test.ts', 'await new Promise((resolve) => { setTimeout(resolve, 100); });'],
    ['kit/a.test.ts', `import { setTimeout as sleep } from 'node:timers/promises';`],
    ['live/a.ts', `import { setTimeout } from 'timers/promises';`],
    ['transports/a.ts', `socket.on('message', (data) => { use(JSON.parse(data)); });`],
    ['transports/a.ts', `try { socket.on('message', (data) => JSON.parse(data)); } catch {}`],
    ['transports/a.ts', `try { a(); } catch { JSON.parse(b); }`],
  ])('in %s: %s', (path, text) => expect(findings(banned, { [room(path)]: text })).toHaveLength(1));

  it.each([
    ['kit/clock.ts', 'Date.now(); setTimeout(f, 1);'],
    ['live/a.ts', 'const d = new Date(clock.now()); clock.now(); performance.now();'],
    ['live/a.test.ts', 'Date.now(); console.log(1);'],
    ['server/config/environment.ts', 'process.env;'],
    ['cli/main.ts', 'process.exit(1);'],
    ['ingest/a.ts', `import { setImmediate as nextTurn } from 'node:timers/promises';`],
    ['transports/a.ts', `function f(data) { try { return JSON.parse(data); } catch { return null; } }`],
    ['live/a.ts', `// Date.now() and 'console.log' in a comment\nconst text = 'Math.random()';`],
  ])('allows in %s: %s', (path, text) => expect(findings(banned, { [room(path)]: text })).toEqual([]));
});

it('file-names are kebab-case, except those that other programs give', () => {
  const files = {
    'packages/server/src/live/DESIGN.md': '',
    'packages/server/src/kit/fooBar.ts': '',
    'tools/tidy/main.ts': '',
    '.ci/run': '',
  };
  expect(findings(fileNames, files).map((line) => line.split(':')[0])).toEqual(['packages/server/src/kit/fooBar.ts']);
});

describe('links', () => {
  it('finds links that lead nowhere and anchors without a heading, but none in code', () => {
    const text = '# A title\n[a](#a-title) [b](#nope) [c](https://x.example/) [d](gone.md)\n`[e](no.md)`\n```\n[f](no.md)\n```\n';
    expect(findings(links, { 'docs/a.md': text })).toEqual([
      'docs/a.md:2 #nope: docs/a.md has no heading #nope',
      'docs/a.md:2 gone.md leads nowhere',
    ]);
  });

  it('makes anchors as GitHub does', () => {
    expect([...anchorsOf('# `POST /events`, twice\n## A [link](x)\n## A link\n<a id="Here"></a>')]).toEqual([
      'post-events-twice',
      'a-link',
      'a-link-1',
      'here',
    ]);
  });
});

it('dependencies compares the table with the package.json files', () => {
  const doc = '| `pino` | logs | fast | MIT |\n| `gone` | x | y | MIT |\n| `ws` | sockets | | MIT |\n';
  const manifests = {
    '': { devDependencies: { vitest: '1' } },
    'packages/server': { name: 'millrace', dependencies: { pino: '1', ws: '1', millrace: '1' } },
  };
  expect(findings(dependencies, { 'docs/dependencies.md': doc }, manifests)).toEqual([
    'docs/dependencies.md:1 vitest has no row',
    'docs/dependencies.md:2 gone is no dependency any more',
    'docs/dependencies.md:3 ws: say what for, why this one, licence',
  ]);
});

describe('ratchet', () => {
  const finding = (path: string) => ({ rule: 'sizes', path, line: 1, message: 'm' });

  it('lets through what it allows, and reports all findings of a file that has more', () => {
    expect(judge([finding('a'), finding('b'), finding('b')], { sizes: { a: 1, b: 1 } })).toMatchObject({
      findings: [finding('b'), finding('b')],
      slack: [],
    });
  });

  it('only ever shrinks', () => {
    const { slack, tightened } = judge([finding('a'), finding('b'), finding('b'), finding('c')], { sizes: { a: 3, b: 1, d: 2 } });
    expect(slack).toEqual(['sizes: a is allowed 3, has 1', 'sizes: d is allowed 2, has 0']);
    expect(tightened).toEqual({ sizes: { a: 1, b: 1 } });
  });
});
