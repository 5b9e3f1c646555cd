import { createServer } from 'node:net';

/**
 * Below Linux's range for outgoing connections (32768 and up): a server that is restarted on its port could otherwise find that some
 * client's connection has taken it in the meantime.
 */
const [LOWEST, HIGHEST] = [15_000, 32_000];
const given = new Set<number>();

/** Ports of loopback on which nobody listens, and which this process has not been given before. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries > 1000) throw new Error(`no ${count} free ports on 127.0.0.1 between ${LOWEST} and ${HIGHEST}`);
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
