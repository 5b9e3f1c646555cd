import { posix } from 'node:path';
import { type SourceFile, isNode, walk } from './source-file.ts';

export type Import = { readonly specifier: string; readonly line: number; readonly typeOnly: boolean };

/** Static and dynamic imports, re-exports, and files named by `new URL('./x.ts', import.meta.url)`. */
export function importsOf(file: SourceFile): Import[] {
  const out: Import[] = [];
  walk(file.program, (node) => {
    const source = node['source'];
    const dynamic = node.type === 'ImportExpression';
    const declared = node.type === 'ImportDeclaration' || node.type === 'ExportNamedDeclaration' || node.type === 'ExportAllDeclaration';
    if (!(dynamic || declared) || !isNode(source) || typeof source['value'] !== 'string') return;
    const typeOnly = node['importKind'] === 'type' || node['exportKind'] === 'type' || allNamesAreTypes(node['specifiers']);
    out.push({ specifier: source['value'], line: file.lineOf(node.start), typeOnly });
  });
  return out;
}

function allNamesAreTypes(specifiers: unknown): boolean {
  return Array.isArray(specifiers) && specifiers.length > 0 && specifiers.every((each) => isNode(each) && each['importKind'] === 'type');
}

/** The path in the repository that a relative specifier names; null for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : null;
}

/** `@scope/name` of `@scope/name/deep/path`; null for relative and built-in modules. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:') || specifier.startsWith('virtual:') || specifier.startsWith('/'))
    return null;
  const steps = specifier.replace(/\?.*$/, '').split('/');
  return specifier.startsWith('@') ? steps.slice(0, 2).join('/') : steps[0]!;
}
