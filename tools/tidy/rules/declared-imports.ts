import { builtinModules } from 'node:module';
import { importsOf, packageOf } from '../imports.ts';
import type { Finding, Manifest, Repository, Rule, SourceFile } from '../source-file.ts';

/**
 * A package that happens to lie in node_modules because another wants it can be gone after the next update, and is missing where the
 * package is installed alone. So: what a file imports is declared beside it; tests and tools may use the root's development packages.
 */
export const declaredImports: Rule = {
  name: 'declared-imports',
  check: (repository) => repository.files.filter((file) => file.isCode).flatMap((file) => check(file, repository)),
};

function check(file: SourceFile, repository: Repository): Finding[] {
  const folder = workspaceOf(file.path, repository);
  const manifest = repository.manifests.get(folder) ?? {};
  const root = repository.manifests.get('') ?? {};
  const isTool = folder === '' || file.isTest || /(^|\/)vite\.config\.ts$/.test(file.path);
  const allowed = new Set([
    ...names(manifest),
    ...(isTool ? [...names(root), ...[...repository.manifests.values()].map(({ name }) => name)] : []),
  ]);
  return importsOf(file).flatMap(({ specifier, line, typeOnly }) => {
    const name = packageOf(specifier);
    if (name === null || builtinModules.includes(name) || allowed.has(name) || name === manifest.name) return [];
    // Types are gone at run time; but a published declaration file still names them.
    if (typeOnly && names(root).has(name) && !folder.startsWith('packages/')) return [];
    return [
      {
        rule: 'declared-imports',
        path: file.path,
        line,
        message: `${name} is not declared in ${folder === '' ? '' : `${folder}/`}package.json`,
      },
    ];
  });
}

function names({ dependencies, devDependencies, peerDependencies }: Manifest): Set<string> {
  return new Set([dependencies, devDependencies, peerDependencies].flatMap((each) => Object.keys(each ?? {})));
}

function workspaceOf(path: string, { manifests }: Repository): string {
  return (
    [...manifests.keys()].filter((folder) => folder !== '' && path.startsWith(`${folder}/`)).toSorted((a, b) => b.length - a.length)[0] ??
    ''
  );
}
