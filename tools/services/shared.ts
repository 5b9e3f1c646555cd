/**
 * One instance of a service for a whole test run: `await service('kafka')` in any suite of any worker. The first who asks has it started
 * by the test runner's own process (`shared-host.ts`), which listens on a unix socket, and the end of the run ends it. What a suite
 * makes in it (topics, queues, keys, databases) must have names of its own, and it must not end, pause or reconfigure it: suites that
 * do start a private instance.
 */
import { connect } from 'node:net';
import { type Need } from './available.ts';
import { catalogue, type Facts, type ServiceName } from './catalogue.ts';
import { nginxNeed } from './nginx.ts';
import { prometheusNeed } from './prometheus.ts';

/** Not MILLRACE_…: programs that tests start would refuse it as an option that they do not know. */
export const SOCKET_VARIABLE = 'TEST_SERVICES_SOCKET';

const needs: ReadonlyMap<string, () => Need | null> = new Map([
  ...Object.entries(catalogue).map(([name, entry]) => [name, () => entry.need()] as const),
  ['nginx', nginxNeed],
  ['prometheus', prometheusNeed],
]);

/**
 * For `describe.skipIf(!available('kafka'))`. False where something is missing, which is said in one line; an error where
 * MILLRACE_REQUIRE_SERVICES=1 demands that nothing is skipped.
 */
export function available(name: ServiceName | 'nginx' | 'prometheus'): boolean {
  const need = needs.get(name)?.() ?? null;
  if (need === null) return true;
  const line = `SKIPPED: tests on ${name}: ${need.missing} is missing (${need.install})`;
  if (process.env['MILLRACE_REQUIRE_SERVICES'] === '1') throw new Error(line);
  console.warn(line);
  return false;
}

export type Answer = { readonly facts: unknown } | { readonly error: string };

/** How to connect to the run's instance of the service, which is started where nobody has asked for it before. */
export function service<Name extends ServiceName>(name: Name): Promise<Facts[Name]> {
  const path = process.env[SOCKET_VARIABLE];
  if (path === undefined) throw new Error(`${SOCKET_VARIABLE} is not set: tests that share services run under vitest.config.ts`);
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${name}\n`));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => (text += chunk));
    socket.once('error', reject);
    socket.once('end', () => {
      if (text === '') return reject(new Error(`the test run ended before ${name} was started`));
      try {
        const answer = JSON.parse(text) as Answer;
        if ('error' in answer) reject(new Error(answer.error));
        else resolve(answer.facts as Facts[Name]);
      } catch (cause) {
        reject(new Error(`the test run's answer about ${name} was cut off`, { cause }));
      }
    });
  });
}
