import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

let folder: string;
let copy: string;
let empty: string;
/** As on a machine that has only this Node: nothing of the repository on the path. */
const environment = {
  ...process.env,
  PATH: [
    join(ROOT, 'node_modules/node/bin'),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((each) => !each.includes('node_modules')),
  ].join(delimiter),
};

/** Packs a copy of the repository, so that nobody sees its package.json change, and installs the two packages into an empty folder. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-pack-'));
  copy = join(folder, 'repository');
  empty = join(folder, 'empty');
  for (const path of ['packages', 'tools', 'package.json', 'tsconfig.json', 'LICENSE']) {
    cpSync(join(ROOT, path), join(copy, path), {
      recursive: true,
      filter: (from) => !/\/(node_modules|\.millrace)(\/|$)/.test(from.slice(ROOT.length - 1)),
    });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(empty);
  writeFileSync(join(empty, 'package.json'), '{"private":true}');
  await run('npm', ['pack', '-w', 'millrace', '-w', '@millrace/client', '--pack-destination', folder, '--loglevel=error'], {
    cwd: copy,
    env: environment,
  });
  const tarballs = readdirSync(folder)
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(folder, name));
  expect(tarballs).toHaveLength(2);
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', ...tarballs], {
    cwd: empty,
    env: environment,
  });
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const installed = (path: string): string => join(empty, 'node_modules', path);

it('leaves the package.json of the repository as it was', () => {
  for (const name of ['server', 'client']) {
    expect(readFileSync(join(copy, 'packages', name, 'package.json'), 'utf8')).toBe(
      readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8'),
    );
    expect(existsSync(join(copy, 'packages', name, 'package.json.source'))).toBe(false);
  }
});

it('packs JavaScript and declarations without tests, and names no TypeScript file', () => {
  for (const name of ['millrace', '@millrace/client']) {
    const files = readdirSync(installed(name), { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => (file.endsWith('.ts') && !file.endsWith('.d.ts')) || /\.test\.|conformance/.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'dist/index.js', 'dist/index.d.ts']));
    for (const file of files.filter((each) => each.endsWith('.d.ts')))
      expect(readFileSync(join(installed(name), file), 'utf8'), file).not.toMatch(/from '\.[^']*\.ts'/);
  }
});

it('says in package.json where things are, and which Node it needs', () => {
  const manifest = JSON.parse(readFileSync(installed('millrace/package.json'), 'utf8')) as Record<string, unknown>;
  expect(manifest).toMatchObject({
    license: 'Apache-2.0',
    engines: { node: '>=24' },
    bin: { millrace: 'bin/millrace.js' },
    main: './dist/index.js',
    types: './dist/index.d.ts',
  });
  expect(manifest).not.toHaveProperty('scripts');
});

it('has types that a strict program compiles against', async () => {
  writeFileSync(
    join(empty, 'tsconfig.json'),
    '{"compilerOptions":{"strict":true,"module":"nodenext","target":"es2024","lib":["es2024","dom","esnext.disposable"],"noEmit":true,"types":[]},"files":["use.ts"]}',
  );
  writeFileSync(
    join(empty, 'use.ts'),
    `import { loadConfig } from 'millrace';\nimport * as client from '@millrace/client';\nconst loaded: Promise<{ readonly config: { readonly port: number } }> = loadConfig({ cwd: '.', environment: {} });\nexport { client, loaded };\n`,
  );
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.', '--skipLibCheck'], { cwd: empty }).catch(
    (error: { stdout: string }) => expect(error.stdout).toBe(''),
  );
});

it('runs: `npx millrace dev` starts, is healthy, serves the explorer, and stops', async () => {
  const server = spawn('npx', ['millrace', 'dev', '--json', '--port', '0'], {
    cwd: empty,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  try {
    const addresses = await readyLine(server);
    const health = await fetch(new URL('/health', addresses['admin']));
    expect(health.status).toBe(200);
    const explorer = await fetch(addresses['graphql']!, { headers: { accept: 'text/html' } });
    expect(await explorer.text()).toMatch(/assets\/[^"]+\.js/);
    const { stdout } = await run('npx', ['millrace', 'health'], { cwd: empty, env: environment });
    expect(stdout).toContain('ready');
  } finally {
    const exit = new Promise((resolve) => void server.once('exit', resolve));
    process.kill(-server.pid!, 'SIGTERM');
    await exit;
  }
}, 60_000);

it('says in one line that an old Node is too old', async () => {
  const launcher = readFileSync(installed('millrace/bin/millrace.js'), 'utf8').replace('process.versions.node.split', `'20.1.0'.split`);
  const path = join(installed('millrace/bin'), 'old.js');
  writeFileSync(path, launcher);
  const failure = await run(process.execPath, [path, 'dev']).catch((error: { code: number; stderr: string }) => error);
  expect(failure).toMatchObject({ code: 6, stderr: expect.stringMatching(/^error: Millrace needs Node 24 or newer[^\n]*\n$/) });
});

async function readyLine(server: ChildProcess): Promise<Record<string, string>> {
  for await (const line of createInterface({ input: server.stdout! })) {
    if (line.startsWith('{')) return JSON.parse(line) as Record<string, string>;
  }
  throw new Error('millrace dev ended before it was ready');
}
