import { MillraceError } from '../../kit/errors.ts';
import { type Config, options } from '../options.ts';
import { type Declared, flatten } from './declare.ts';
import type { Environment } from './environment.ts';
import { configErrors } from './errors.ts';
import { readConfigFile } from './file.ts';
import type { Fault } from './kinds.ts';
import { conflicts } from './rules.ts';
import { type Given, type Problem, fromEnvironment, fromFile, fromFlags } from './sources.ts';

export type LoadRequest = {
  readonly cwd: string;
  readonly environment: Environment;
  /** Values by flag name without dashes. */
  readonly flags?: ReadonlyMap<string, string | boolean>;
  /** `--config`; without it the file in `cwd`, if there is one. */
  readonly configFile?: string | null;
  /** What the command itself decides, above everything else: `{mode: 'dev'}`. Keyed by path. */
  readonly forced?: ReadonlyMap<string, unknown>;
  /** The mode where nothing says one. Default production: a server that forgot to say what it is must not accept dev tokens. */
  readonly fallbackMode?: 'dev' | 'production';
};

/** Where a value came from: `default`, `default (dev)`, `millrace.config.yaml`, `MILLRACE_PORT`, `--port`, `command`. */
export type LoadedConfig = { readonly config: Config; readonly origins: ReadonlyMap<string, string>; readonly file: string | null };

export const declaredOptions: readonly Declared[] = flatten(options);

/**
 * Loads and validates everything: command over flags over environment over file over defaults. Rejects with CONFIG_UNREADABLE, or with
 * CONFIG_INVALID whose message has one line for each problem and whose details hold them as `problems`.
 */
export async function loadConfig(request: LoadRequest): Promise<LoadedConfig> {
  const file = await readConfigFile(request.cwd, request.configFile ?? request.environment['MILLRACE_CONFIG'] ?? null);
  const gathered = [
    ...(file ? [fromFile(file, declaredOptions, request.cwd)] : []),
    fromEnvironment(request.environment, declaredOptions, request.cwd),
    fromFlags(request.flags ?? new Map(), declaredOptions, request.cwd),
  ];
  const given = gathered.flatMap((each) => each.given);
  for (const [path, raw] of request.forced ?? []) given.push({ path, raw, source: 'command', from: 'command' });
  const problems = gathered.flatMap((each) => each.problems);
  const { values, origins } = resolveValues(given, problems, request.fallbackMode ?? 'production');
  refuse(problems);
  const config = nest(values) as Config;
  refuse(
    conflicts(config).map(({ keys, what }) => ({
      key: keys.join(', '),
      from: keys.map((key) => origins.get(key)).join(', '),
      got: what,
      takes: '',
    })),
  );
  return { config, origins, file: file?.path ?? null };
}

/** The defaults of a mode, for tests and tools that need a whole configuration; `overrides` by path are validated like any other value. */
export async function defaultConfig(mode: 'dev' | 'production', overrides: Readonly<Record<string, unknown>> = {}): Promise<Config> {
  const forced = new Map<string, unknown>(Object.entries({ mode, ...overrides }));
  return (await loadConfig({ cwd: '/', configFile: null, environment: {}, forced })).config;
}

function resolveValues(
  given: readonly Given[],
  problems: Problem[],
  fallbackMode: string,
): { values: Map<string, unknown>; origins: Map<string, string> } {
  const last = new Map(given.map((each) => [each.path, each]));
  const values = new Map<string, unknown>();
  const origins = new Map<string, string>();
  const dev = (last.get('mode')?.raw ?? fallbackMode) === 'dev';
  for (const { path, spec } of declaredOptions) {
    const devDefault = dev && spec.dev !== undefined;
    values.set(path, devDefault ? spec.dev : spec.default);
    origins.set(path, devDefault ? 'default (dev)' : 'default');
  }
  values.set('mode', fallbackMode);
  // A value that is overridden is validated all the same: it would be a surprise on the day when the flag above it goes away.
  for (const each of given) {
    const { spec } = declaredOptions.find(({ path }) => path === each.path)!;
    const read = spec.kind.read(each.raw);
    if (!read.ok) problems.push(...read.faults.map((fault) => problemOf(each, fault, spec.secret === true)));
    else if (last.get(each.path) === each) {
      values.set(each.path, read.value);
      origins.set(each.path, each.from);
    }
  }
  return { values, origins };
}

function problemOf({ path, from }: Given, { at, got, takes, secret }: Fault, whole: boolean): Problem {
  return { key: `${path}${at}`, from, got: whole || secret ? '(secret)' : shown(got), takes };
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? `"${value}"` : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

export function problemLine({ key, from, got, takes }: Problem): string {
  return takes === '' ? `${key} (from ${from}): ${got}` : `${key} (from ${from}): got ${got}, takes ${takes}`;
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(problemLine);
  const head = lines.length === 1 ? '' : `${lines.length} problems:\n  `;
  throw new MillraceError(configErrors.CONFIG_INVALID, `${head}${lines.join('\n  ')}`, { problems });
}

function nest(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [path, value] of values) {
    const steps = path.split('.');
    let node = out;
    for (const step of steps.slice(0, -1)) node = (node[step] ??= {}) as Record<string, unknown>;
    node[steps.at(-1)!] = value;
  }
  return out;
}
