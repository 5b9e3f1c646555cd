/** Vitest's globalSetup: the side of `shared.ts` that starts services when they are first asked for, and ends them after the run. */
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { catalogue, isServiceName, type Running } from './catalogue.ts';
import { makeFolder, removeFolder } from './folder.ts';
import { type Answer, SOCKET_VARIABLE } from './shared.ts';

/** Longer than any name of a service. */
const MAX_REQUEST = 100;

export default async function hostServices(): Promise<() => Promise<void>> {
  const folder = makeFolder('shared');
  const path = join(folder, 'services.sock');
  const running = new Map<string, Promise<Running>>();
  const server = createServer((socket) => void answer(socket, running));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  chmodSync(path, 0o600);
  // Workers are started later and inherit it.
  process.env[SOCKET_VARIABLE] = path;
  return async () => {
    server.close();
    const ended = await Promise.allSettled([...running.values()].map(async (each) => (await each).stop()));
    await removeFolder(folder);
    // Who failed to start has told those who asked.
    for (const each of ended) if (each.status === 'rejected') console.warn(String(each.reason));
  };
}

async function answer(socket: Socket, running: Map<string, Promise<Running>>): Promise<void> {
  socket.on('error', () => {});
  socket.setEncoding('utf8');
  let name = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    name += String(chunk);
    if (name.endsWith('\n') || name.length > MAX_REQUEST) break;
  }
  socket.end(JSON.stringify(await start(name.trim(), running)));
}

async function start(name: string, running: Map<string, Promise<Running>>): Promise<Answer> {
  if (!isServiceName(name)) return { error: `there is no service ${name.slice(0, MAX_REQUEST)}` };
  const starting = running.get(name) ?? catalogue[name].start();
  running.set(name, starting);
  try {
    return { facts: (await starting).facts };
  } catch (error) {
    return { error: error instanceof Error ? error.message : `${name} did not start` };
  }
}
