import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util';
import { declaredOptions, hint } from '../server/config.ts';
import type { Command, Flag, Input } from './command.ts';
import { usageError } from './errors.ts';

/** Every command has these. */
export const COMMON_FLAGS: readonly Flag[] = [
  { name: 'help', kind: 'boolean', doc: 'Show this help.' },
  { name: 'json', kind: 'boolean', doc: 'Print the result as JSON, for other programs.' },
];

export type Parsed = { readonly kind: 'help' } | { readonly kind: 'input'; readonly input: Input };

/** Throws USAGE with one line. */
export function parseCommandLine(command: Command, args: readonly string[]): Parsed {
  const flags = [...COMMON_FLAGS, ...(command.flags ?? [])];
  const optionFlags = command.takesOptions ? declaredOptions.filter(({ flag }) => !flags.some(({ name }) => name === flag)) : [];
  const descriptors = new Map<string, ParseArgsOptionDescriptor>([
    ...flags.map(({ name, kind, many }) => [name, { type: kind === 'boolean' ? 'boolean' : 'string', multiple: many ?? false }] as const),
    ...optionFlags.map(({ flag, spec }) => [flag, { type: spec.kind.name === 'boolean' ? 'boolean' : 'string' }] as const),
  ]);
  const { values, positionals } = parse(command, args, descriptors);
  if (values['help'] === true) return { kind: 'help' };
  checkPositionals(command, positionals);
  const options = new Map(
    optionFlags.flatMap(({ flag }) => (values[flag] === undefined ? [] : [[flag, values[flag] as string | boolean] as const])),
  );
  return {
    kind: 'input',
    input: {
      positionals,
      text: (flag) => (values[flag] as string | undefined) ?? null,
      texts: (flag) => (values[flag] as string[] | undefined) ?? [],
      has: (flag) => values[flag] === true,
      options,
      json: values['json'] === true,
    },
  };
}

function parse(command: Command, args: readonly string[], descriptors: ReadonlyMap<string, ParseArgsOptionDescriptor>) {
  const name = `millrace ${command.path.join(' ')}`;
  try {
    return parseArgs({
      args: [...args],
      options: Object.fromEntries(descriptors),
      allowPositionals: true,
      allowNegative: true,
      strict: true,
    });
  } catch (error) {
    const unknown = /Unknown option '([^']+)'/.exec((error as Error).message)?.[1];
    if (unknown !== undefined) {
      const flags = [...descriptors.keys()].map((flag) => `--${flag}`);
      throw usageError(`${name} has no flag ${unknown}${hint(unknown, flags)}; ${name} --help lists them`);
    }
    throw usageError(`${name}: ${(error as Error).message.split(/\. |\n/)[0]}`);
  }
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const wanted = command.positionals ?? [];
  const name = `millrace ${command.path.join(' ')}`;
  const missing = wanted.slice(given.length).find(({ optional }) => !optional);
  if (missing) throw usageError(`${name} needs ${missing.name}: ${missing.doc}`);
  const extra = given[wanted.length];
  if (extra !== undefined) throw usageError(`${name} does not take ${JSON.stringify(extra)}; ${name} --help shows what it takes`);
}
