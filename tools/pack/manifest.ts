/** A package.json, as far as packing looks at it. */
export type Manifest = {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
};

/** The package.json that is published: entry points lead into `dist`, and what only the repository needs is gone. */
export function publishedManifest(manifest: Manifest, directory: string): Readonly<Record<string, unknown>> {
  const { scripts: _scripts, devDependencies: _devDependencies, private: _private, ...rest } = manifest;
  const exports = Object.fromEntries(Object.entries(manifest.exports).map(([name, target]) => [name, publishedTarget(target)]));
  const main = publishedTarget(manifest.exports['.'] ?? './src/index.ts');
  return {
    ...rest,
    ...(typeof main === 'string' ? {} : { main: main.default, types: main.types }),
    exports,
    files: ['dist', ...(manifest.bin ? ['bin'] : [])],
    repository: { type: 'git', directory },
  };
}

type Target = string | { readonly types: string; readonly default: string };

function publishedTarget(source: string): Target {
  const match = /^\.\/src\/(.+)\.tsx?$/.exec(source);
  return match ? { types: `./dist/${match[1]}.d.ts`, default: `./dist/${match[1]}.js` } : source;
}
