import type { Kind } from './kinds.ts';

/** What is said once about an option; names in the environment and on the command line follow from its path. */
export type OptionSpec<T> = {
  readonly kind: Kind<T>;
  readonly default: NoInfer<T>;
  /** Where development wants another default. */
  readonly dev?: NoInfer<T>;
  /** One or two sentences: what it decides, and why one would change it. */
  readonly doc: string;
  /** Masked wherever it is shown, and may be given by file: key `…File`, variable `…_FILE`. */
  readonly secret?: boolean;
  /** Where the flag is shorter than the path says. Without dashes. */
  readonly flag?: string;
};

export class Option<T> {
  readonly spec: OptionSpec<T>;

  constructor(spec: OptionSpec<T>) {
    this.spec = spec;
  }
}

export function option<T>(spec: OptionSpec<T>): Option<T> {
  return new Option(spec);
}

export type OptionTree = { readonly [key: string]: Option<unknown> | OptionTree };

/** The typed configuration that a tree of options gives. */
export type Values<T> = { readonly [K in keyof T]: T[K] extends Option<infer V> ? V : Values<T[K]> };

/** An option with the names it goes by. */
export type Declared = {
  readonly path: string;
  /** `MILLRACE_LIVE_MAX_SESSIONS` */
  readonly env: string;
  /** `live-max-sessions`, without the dashes */
  readonly flag: string;
  readonly spec: OptionSpec<unknown>;
};

/** All options of a tree, in the order written. */
export function flatten(tree: OptionTree, prefix = ''): Declared[] {
  return Object.entries(tree).flatMap(([key, node]) => {
    const path = `${prefix}${key}`;
    return node instanceof Option
      ? [{ path, env: envName(path), flag: node.spec.flag ?? flagName(path), spec: node.spec }]
      : flatten(node, `${path}.`);
  });
}

export function envName(path: string): string {
  return `MILLRACE_${words(path).join('_').toUpperCase()}`;
}

export function flagName(path: string): string {
  return words(path).join('-');
}

function words(path: string): string[] {
  return path
    .replace(/([a-z0-9])([A-Z])/g, '$1.$2')
    .toLowerCase()
    .split('.');
}
