import type { Declared } from './declare.ts';
import type { Environment } from './environment.ts';
import { type ConfigFile, readSecretFile } from './file.ts';
import { isRecord } from './issuer.ts';
import { hint } from './suggest.ts';

/** One value as somebody wrote it, and where. */
export type Given = { readonly path: string; readonly raw: unknown; readonly source: Source; readonly from: string };
export type Source = 'file' | 'environment' | 'flag' | 'command';

/** Something wrong with the configuration; `got` is already masked where it is a secret. */
export type Problem = { readonly key: string; readonly from: string; readonly got: string; readonly takes: string };

export type Gathered = { readonly given: readonly Given[]; readonly problems: readonly Problem[] };

/** Variables that are ours but not options: for the commands that talk to a server, and for our own tests. */
export const OTHER_VARIABLES = [
  'MILLRACE_TOKEN',
  'MILLRACE_REGISTRY',
  'MILLRACE_ADMIN',
  'MILLRACE_EVENTS',
  'MILLRACE_GRAPHQL',
  'MILLRACE_REQUIRE_SERVICES',
  'MILLRACE_CONFIG',
];

export function fromFile(file: ConfigFile, declared: readonly Declared[], cwd: string): Gathered {
  const given: Given[] = [];
  const problems: Problem[] = [];
  const byPath = new Map(declared.map((each) => [each.path, each]));
  const groups = new Set(declared.flatMap((each) => parents(each.path)));
  const visit = (node: Readonly<Record<string, unknown>>, prefix: string): void => {
    for (const [key, raw] of Object.entries(node)) {
      const path = `${prefix}${key}`;
      const secret = byPath.get(path.replace(/File$/, ''));
      if (byPath.has(path)) given.push({ path, raw: withKeyFiles(path, raw, cwd), source: 'file', from: file.name });
      else if (secret?.spec.secret && typeof raw === 'string')
        given.push({ path: secret.path, raw: readSecretFile(cwd, raw), source: 'file', from: raw });
      else if (groups.has(path) && isRecord(raw)) visit(raw, `${path}.`);
      else if (groups.has(path))
        problems.push({ key: path, from: file.name, got: JSON.stringify(raw) ?? typeof raw, takes: 'an object of options' });
      else problems.push(unknownKey(path, file.name, [...byPath.keys(), ...groups]));
    }
  };
  visit(file.content, '');
  return { given, problems };
}

function unknownKey(path: string, from: string, known: readonly string[]): Problem {
  return { key: path, from, got: 'an unknown key', takes: `only the keys of docs/configuration.md${hint(path, known)}` };
}

function parents(path: string): string[] {
  const steps = path.split('.').slice(0, -1);
  return steps.map((_, index) => steps.slice(0, index + 1).join('.'));
}

/** Keys within list items that may be given by file: secrets belong into files of their own, not into a configuration that is checked in. */
const KEYS_BY_FILE: ReadonlyMap<string, readonly string[]> = new Map([
  ['access.issuers', ['secret', 'publicKey']],
  ['brokers', ['password', 'ca', 'cert', 'key']],
]);

function withKeyFiles(path: string, raw: unknown, cwd: string): unknown {
  const keys = KEYS_BY_FILE.get(path);
  if (keys === undefined || !Array.isArray(raw)) return raw;
  return raw.map((each: unknown) => {
    if (!isRecord(each)) return each;
    const out: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(each)) {
      const keyFile = key.endsWith('File') && keys.includes(key.slice(0, -4)) && typeof value === 'string';
      out[keyFile ? key.slice(0, -4) : key] = keyFile ? readSecretFile(cwd, value) : value;
    }
    return out;
  });
}

export function fromEnvironment(environment: Environment, declared: readonly Declared[], cwd: string): Gathered {
  const given: Given[] = [];
  const problems: Problem[] = [];
  const byName = new Map(declared.map((each) => [each.env, each]));
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith('MILLRACE_') || raw === undefined || raw === '' || ofKubernetes(name, raw) || OTHER_VARIABLES.includes(name))
      continue;
    const direct = byName.get(name);
    const secret = name.endsWith('_FILE') ? byName.get(name.slice(0, -5)) : undefined;
    if (direct) given.push({ path: direct.path, raw: fromText(direct.path, raw, cwd), source: 'environment', from: name });
    else if (secret?.spec.secret) given.push({ path: secret.path, raw: readSecretFile(cwd, raw), source: 'environment', from: name });
    else
      problems.push({
        key: name,
        from: 'the environment',
        got: 'an unknown variable',
        takes: `only those of docs/configuration.md${hint(name, byName.keys())}`,
      });
  }
  return { given, problems };
}

/** A Kubernetes service called `millrace` puts these into every pod; MILLRACE_PORT=tcp://… would otherwise stop the program. */
function ofKubernetes(name: string, raw: string): boolean {
  return /_SERVICE_(HOST|PORT)/.test(name) || /_PORT_\d+_(TCP|UDP)/.test(name) || (name === 'MILLRACE_PORT' && /^(tcp|udp):\/\//.test(raw));
}

/** Values by flag name, as the command line gave them. */
export function fromFlags(flags: ReadonlyMap<string, string | boolean>, declared: readonly Declared[], cwd: string): Gathered {
  const given: Given[] = [];
  for (const { path, flag } of declared) {
    const raw = flags.get(flag);
    if (raw !== undefined)
      given.push({ path, raw: typeof raw === 'string' ? fromText(path, raw, cwd) : raw, source: 'flag', from: `--${flag}` });
  }
  return { given, problems: [] };
}

function fromText(path: string, raw: string, cwd: string): unknown {
  if (!KEYS_BY_FILE.has(path)) return raw;
  try {
    return withKeyFiles(path, JSON.parse(raw) as unknown, cwd);
  } catch (error) {
    if (error instanceof SyntaxError) return raw;
    throw error;
  }
}
