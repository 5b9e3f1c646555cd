import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRuntimeFile } from '../server/runtime-file.ts';
import { runMillrace, spawnMillrace, startDev } from './testing/real-process.ts';

let root: string;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), 'millrace-dev-'))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string): string {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
}

describe('what cannot start says why in one line, with an honest exit code', () => {
  const oneLine = (code: string, words: string) => expect.stringMatching(new RegExp(`^error: [^\\n]*${words}[^\\n]* \\(${code}\\)\\n$`));

  it('port taken, and data folder in use', async () => {
    const cwd = folder('taken');
    await using server = await startDev([], cwd);
    const { port } = new URL(server.addresses['graphql']!);
    expect(await runMillrace(['dev', '--port', port, '--data', 'other'], cwd)).toMatchObject({
      code: 6,
      stdout: '',
      stderr: oneLine('PORT_TAKEN', `port ${port} .*--port`),
    });
    expect(await runMillrace(['dev', '--port', '0'], cwd)).toMatchObject({
      code: 6,
      stdout: '',
      stderr: oneLine('DATA_LOCKED', `process ${server.child.pid}`),
    });
  });

  it.each([
    ['unreadable configuration', ['--config', 'broken.json'], 5, 'CONFIG_UNREADABLE', 'broken.json'],
    ['missing configuration', ['--config', 'none.yaml'], 5, 'CONFIG_UNREADABLE', 'none.yaml'],
    ['invalid configuration', ['--host', '0.0.0.0'], 5, 'CONFIG_INVALID', 'loopback only'],
    ['a flag of the wrong kind', ['--live-max-sessions', 'many'], 5, 'CONFIG_INVALID', '--live-max-sessions\\): got "many"'],
    ['an unknown flag', ['--live-max-session', '1'], 2, 'USAGE', 'did you mean "--live-max-sessions"'],
    ['a data folder that is a file', ['--data', 'file/x'], 6, 'DATA_UNUSABLE', 'file/x'],
    ['a damaged data folder', ['--data', 'damaged'], 6, 'DATA_CORRUPT', 'damaged or not a database'],
    ['a data folder of another version', ['--data', 'newer'], 6, 'DATA_VERSION', 'version 99'],
  ])('%s', async (_, args, code, name, words) => {
    const cwd = folder('faults');
    writeFileSync(join(cwd, 'broken.json'), '{"port": ');
    writeFileSync(join(cwd, 'file'), '');
    writeFileSync(join(folder('faults/damaged'), 'events.sqlite'), randomBytes(8192));
    await otherVersion(folder('faults/newer'));
    expect(await runMillrace(['dev', '--port', '0', ...args], cwd)).toMatchObject({ code, stdout: '', stderr: oneLine(name, words) });
  });

  it('a production server that nobody could sign in to', async () => {
    expect(await runMillrace(['serve', '--port', '0'], folder('serve'))).toMatchObject({
      code: 5,
      stderr: oneLine('CONFIG_INVALID', 'nobody could sign in'),
    });
  });

  /** What a later Millrace would leave behind: our own file with a version that this one does not know. */
  async function otherVersion(data: string): Promise<void> {
    if (readable(join(data, 'events.sqlite'))) return;
    const server = await startDev(['--data', data], root);
    server.child.kill('SIGTERM');
    await server.finished;
    const db = new DatabaseSync(join(data, 'events.sqlite'));
    db.exec('PRAGMA user_version = 99');
    db.close();
  }

  function readable(path: string): boolean {
    try {
      return readFileSync(path).length > 0;
    } catch {
      return false;
    }
  }
});

describe('signals', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('%s drains: exit code 0, nothing on standard error, runtime.json gone', async (signal) => {
    const cwd = folder(signal);
    await using server = await startDev([], cwd);
    expect(readRuntimeFile(join(cwd, '.millrace'))).toMatchObject({
      pid: server.child.pid,
      mode: 'dev',
      addresses: { admin: server.addresses['admin'] },
    });
    server.child.kill(signal);
    expect(await server.finished).toMatchObject({ code: 0, stderr: '' });
    expect(readRuntimeFile(join(cwd, '.millrace'))).toBeNull();
  });

  it('a second signal ends the process at once', async () => {
    await using server = await startDev(['--drain-window', '10m'], folder('twice'));
    // Clients are sent away one after the other, 100 ms apart at least: with so many the drain is still under way at the second signal.
    const sockets = await Promise.all(Array.from({ length: 100 }, () => signedIn(server.addresses['ws']!)));
    server.child.kill('SIGTERM');
    // It is draining as soon as it says that it is not ready any more, or takes no new connections.
    await expect.poll(async () => (await fetch(new URL('/ready', server.addresses['admin'])).catch(() => null))?.status !== 200).toBe(true);
    server.child.kill('SIGTERM');
    expect(await server.finished).toMatchObject({ code: 143 });
    for (const socket of sockets) socket.terminate();
  });
});

/** A session without a token, acknowledged. */
async function signedIn(address: string): Promise<WebSocket> {
  const socket = new WebSocket(address, 'graphql-transport-ws');
  // The process is ended under it.
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send('{"type":"connection_init"}');
  await new Promise((resolve) => socket.once('message', resolve));
  return socket;
}

describe('a project of `millrace init`, with the commands of its README', () => {
  it('carries an event from the command line to a subscription', async () => {
    const cwd = folder('init');
    expect(await runMillrace(['init'], cwd)).toMatchObject({ code: 0 });
    await using server = await startDev(['--supergraph-config', 'supergraph.yaml'], cwd);
    expect(await runMillrace(['health'], cwd)).toMatchObject({ code: 0 });
    expect((await runMillrace(['schema', 'latest'], cwd)).stdout).toContain('orders');
    expect((await runMillrace(['schema', 'supergraph'], cwd)).stdout).toContain('type Order');
    expect(await runMillrace(['schema', 'validate', 'orders', 'schema.graphql'], cwd)).toMatchObject({ code: 0 });
    expect((await runMillrace(['schema', 'diff', 'orders', 'schema.graphql'], cwd)).stdout).toBe('no changes\n');

    const token = (await runMillrace(['token', '--tenant', 'acme', '--user', 'ann'], cwd)).stdout.trim();
    const client = createClient({
      url: server.addresses['ws']!,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
    });
    const readme = readFileSync(join(cwd, 'README.md'), 'utf8');
    const results = client.iterate({ query: /```graphql\n\s*([^]*?)```/.exec(readme)![1]! });
    const first = results.next();
    const published = /events publish (--topic \S+) '([^']+)'/.exec(readme)!;
    // The subscription may not be in place yet: an entity is changed until the first change arrives.
    for (let number = 1, arrived = false; !arrived; number++) {
      expect(
        await runMillrace(['events', 'publish', '--topic', 'shop.orders', published[2]!.replace('"1"', `"${number}"`)], cwd),
      ).toMatchObject({ code: 0 });
      arrived = await Promise.any([first.then(() => true), fetch(new URL('/health', server.addresses['admin'])).then(() => false)]);
    }
    expect((await first).value).toMatchObject({ data: { orderEvent: { action: 'CHANGED', order: { status: 'paid', total: 12.5 } } } });
    await client.dispose();
  });

  it('keeps what cannot be mapped as a dead letter, shows it, redrives it, and shows events as they pass', async () => {
    const cwd = folder('letters');
    await runMillrace(['init'], cwd);
    await using server = await startDev(['--supergraph-config', 'supergraph.yaml'], cwd);
    const tail = spawnMillrace(['events', 'tail', '--json', '--topic', 'shop.orders'], cwd);
    const seen = new Promise<string>((resolve) => void tail.child.stdout!.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    const rejected = await runMillrace(['events', 'publish', '--topic', 'shop.orders', '{"id": "1", "status": "paid"}'], cwd);
    expect(rejected).toMatchObject({ code: 1 });
    const letters = JSON.parse((await runMillrace(['dead-letters', 'list', '--json'], cwd)).stdout) as { id: string; code: string }[];
    expect(letters).toHaveLength(1);
    expect((await runMillrace(['dead-letters', 'show', letters[0]!.id], cwd)).stdout).toContain('"status": "paid"');
    expect(await runMillrace(['dead-letters', 'redrive', letters[0]!.id], cwd)).toMatchObject({
      code: 0,
      stdout: 'redriven 1, already 0\n',
    });
    expect(await runMillrace(['dead-letters', 'redrive', letters[0]!.id], cwd)).toMatchObject({
      code: 0,
      stdout: 'redriven 0, already 1\n',
    });
    expect(JSON.parse((await seen).split('\n')[0]!)).toMatchObject({ topic: 'shop.orders', outcome: 'rejected' });
    tail.child.kill('SIGINT');
    expect(await tail.finished).toMatchObject({ code: 0 });
    expect(server.child.exitCode).toBeNull();
  });
});
