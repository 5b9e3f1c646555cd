import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { MillraceError } from '../../kit/errors.ts';
import { configErrors } from './errors.ts';
import { isRecord } from './issuer.ts';

export const CONFIG_FILE_NAMES = ['ts', 'js', 'mjs', 'json', 'yaml', 'yml'].map((ending) => `millrace.config.${ending}`);

export type ConfigFile = { readonly name: string; readonly path: string; readonly content: Readonly<Record<string, unknown>> };

/** Reads the named file, or the one in `cwd`; null where there is none. Rejects with CONFIG_UNREADABLE. */
export async function readConfigFile(cwd: string, named: string | null): Promise<ConfigFile | null> {
  const path = named === null ? findConfigFile(cwd) : resolve(cwd, named);
  if (path === null) return null;
  if (!existsSync(path)) throw unreadable(path, 'there is no such file');
  const content = await readContent(path);
  if (!isRecord(content))
    throw unreadable(path, `its content must be an object of options, it is ${content === null ? 'empty' : typeof content}`);
  return { name: basename(path), path, content };
}

function findConfigFile(cwd: string): string | null {
  const found = CONFIG_FILE_NAMES.filter((name) => existsSync(resolve(cwd, name)));
  if (found.length > 1) throw unreadable(cwd, `it holds ${found.join(' and ')}: keep one, or choose with --config`);
  return found[0] === undefined ? null : resolve(cwd, found[0]);
}

async function readContent(path: string): Promise<unknown> {
  try {
    switch (extname(path)) {
      case '.json':
        return JSON.parse(readFileSync(path, 'utf8')) as unknown;
      case '.yaml':
      case '.yml':
        return (parseYaml(readFileSync(path, 'utf8')) as unknown) ?? {};
      case '.ts':
      case '.mts':
      case '.js':
      case '.mjs':
        return ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
      default:
        throw new Error('its name must end in .ts, .js, .mjs, .json, .yaml or .yml');
    }
  } catch (error) {
    throw unreadable(path, firstLine(error), error);
  }
}

/** Reads a secret from its own file; the line end that editors add is not part of it. */
export function readSecretFile(cwd: string, path: string): string {
  try {
    return readFileSync(resolve(cwd, path), 'utf8').trim();
  } catch (error) {
    throw unreadable(path, firstLine(error), error);
  }
}

function unreadable(path: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError(configErrors.CONFIG_UNREADABLE, `cannot read ${path}: ${why}`, { path }, cause);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!.replace(/:$/, '');
}
