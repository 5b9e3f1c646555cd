import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the built explorer lies: within the published package, or beside this one in the repository. Null where it has not been built. */
export function consoleFolder(): string | null {
  const places = ['../console/', '../../../console/dist/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  return places.find((place) => existsSync(`${place}index.html`)) ?? null;
}
