import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Manifest, type Repository, SourceFile } from './source-file.ts';

/** Everything that git knows or would add, so that a new file is looked at before it is committed. */
export function readRepository(root: string): Repository {
  const listing = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1_048_576,
  });
  const paths = listing.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
  const manifests = new Map(
    paths
      .filter((path) => path === 'package.json' || path.endsWith('/package.json'))
      .map((path) => [dirname(path).replace(/^\.$/, ''), JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest]),
  );
  const files = paths.filter((path) => /\.(ts|tsx|mts|mjs|js|md)$/.test(path)).map((path) => SourceFile.read(root, path));
  return { root, files, manifests };
}
