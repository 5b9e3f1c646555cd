import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What a service needs on this machine: a program by name or path, and what brings it. */
export type Need = { readonly missing: string; readonly install: string };

/** The absolute path of a program, also where `sbin` is not on the path of an ordinary user; null where it is missing. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return (name.includes('/') ? [name] : folders.map((folder) => join(folder, name))).find(isExecutable) ?? null;
}

export function programNeed(name: string, debianPackage: string): Need | null {
  return findProgram(name) === null ? { missing: name, install: `apt-get install ${debianPackage}` } : null;
}

/** Throws with what to install where it is missing. */
export function needProgram(name: string, debianPackage: string): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`${name} is missing: apt-get install ${debianPackage}`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
