/**
 * Paths that the compiler leaves as they are: imports in declaration files, and files named by `new URL('./x.ts', import.meta.url)`
 * (workers). All of them end in `.ts` in the source and in `.js` in the package.
 */
export function withPublishedPaths(text: string): string {
  return text
    .replace(/((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+?)\.tsx?\2/g, '$1$2$3.js$2')
    .replace(/(new URL\(\s*)(['"])(\.{1,2}\/[^'"]+?)\.ts\2(\s*,\s*import\.meta\.url)/g, '$1$2$3.js$2$4');
}
