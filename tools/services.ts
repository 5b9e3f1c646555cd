/**
 * `npm run services [-- NAME...]`: private, throw-away servers for development, until Ctrl-C. The tests use the same starters.
 */
import { parseArgs } from 'node:util';
import { whenOrphaned } from './orphan.ts';
import { catalogue, isServiceName, type Running, type ServiceName, serviceNames } from './services/catalogue.ts';
import { fetchKafkaJars } from './services/kafka-jars.ts';

const HELP = `npm run services [-- [options] NAME...]

Starts private instances of these servers on free ports of 127.0.0.1 with their data in temporary folders, prints how to connect, and
ends and removes everything on Ctrl-C.

  NAME     ${serviceNames.join(', ')}; redis, rabbitmq, kafka and postgres unless told
  --json   one line of JSON on standard output when all are ready, and nothing else
  --fetch  brings what is no package of the system (Kafka's jars from Maven Central), and ends
  --help   this text

Exit code: 0 after Ctrl-C or SIGTERM, 1 where something is missing or does not start, 2 for wrong arguments.
`;
const USUAL: readonly ServiceName[] = ['redis', 'rabbitmq', 'kafka', 'postgres'];

const { names, json, fetch } = readArguments();
const running = new Map<ServiceName, Running>();
let ending = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
whenOrphaned(() => void end(1));

try {
  if (fetch) await fetchAll();
  else await startAll();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  await end(1);
}

function readArguments() {
  try {
    const options = { json: { type: 'boolean' }, fetch: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const wrong = positionals.filter((name) => !isServiceName(name));
    if (wrong.length > 0) throw new Error(`no service ${wrong.join(', ')}; there are ${serviceNames.join(', ')}`);
    const names = positionals.filter(isServiceName);
    return { names: names.length > 0 ? [...new Set(names)] : USUAL, json: values.json === true, fetch: values.fetch === true };
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\nnpm run services -- --help says more\n`);
    process.exit(2);
  }
}

function say(text: string): void {
  if (!json) process.stdout.write(`${text}\n`);
}

async function fetchAll(): Promise<never> {
  if (names.includes('kafka')) say(`kafka: jars ${await fetchKafkaJars()}`);
  return end(0);
}

async function startAll(): Promise<void> {
  const missing = names.flatMap((name) => catalogue[name].need() ?? []);
  if (missing.length > 0) throw new Error(missing.map(({ missing: what, install }) => `${what} is missing: ${install}`).join('\nerror: '));
  say(`starting ${names.join(', ')}`);
  const began = performance.now();
  const outcomes = await Promise.allSettled(names.map((name) => startOne(name, began)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  if (ending) return;
  if (json) process.stdout.write(`${JSON.stringify(Object.fromEntries([...running].map(([name, { facts }]) => [name, facts])))}\n`);
  else process.stdout.write(`\n${names.flatMap(envLines).join('\n')}\n\nCtrl-C ends and removes them.\n`);
}

async function startOne(name: ServiceName, began: number): Promise<void> {
  const service: Running = await catalogue[name].start();
  if (ending) return service.stop();
  running.set(name, service);
  say(`  ${name} is ready (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

function envLines(name: ServiceName): readonly string[] {
  // The compiler does not see that the entry and the facts are of one name.
  const { env } = catalogue[name] as { readonly env: (facts: unknown) => readonly (readonly [string, string])[] };
  return env(running.get(name)?.facts).map(([variable, value]) => `export ${variable}='${value}'`);
}

/** A second signal does not wait: what is left is ended by the guardian. */
async function end(code: number): Promise<never> {
  if (ending) process.exit(code === 0 ? 130 : code);
  ending = true;
  await Promise.allSettled([...running.values()].map((service) => service.stop()));
  process.exit(code);
}
