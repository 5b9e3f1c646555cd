import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'vite';

/** A node of the syntax tree as oxc gives it (ESTree with TypeScript). */
export type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [key: string]: unknown };

/** One file of the repository. `path` is relative to its root, with forward slashes. */
export class SourceFile {
  readonly path: string;
  readonly text: string;
  #lineStarts: number[] | null = null;
  #tree: { readonly program: Node; readonly comments: readonly { readonly value: string; readonly start: number }[] } | null = null;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  static read(root: string, path: string): SourceFile {
    return new SourceFile(path, readFileSync(join(root, path), 'utf8'));
  }

  get isCode(): boolean {
    return /\.(ts|tsx|mts|mjs|js)$/.test(this.path) && !this.path.endsWith('.d.ts');
  }

  /** Tests, and what only tests use. */
  get isTest(): boolean {
    return /(\.test\.tsx?$|conformance\.ts$|\/(testing|test|fakes?)\/|\/(test-[\w-]+|fakes?(-[\w-]+)?|stand-in[\w-]*|arbitraries|naive-matcher|fixtures?(-[\w-]+)?|testing)\.ts$|^(e2e|chaos)\/)/.test(
      this.path,
    );
  }

  get program(): Node {
    return this.#parsed().program;
  }

  get comments(): readonly { readonly value: string; readonly start: number }[] {
    return this.#parsed().comments;
  }

  /** From 1. */
  lineOf(offset: number): number {
    this.#lineStarts ??= [0, ...[...this.text.matchAll(/\n/g)].map(({ index }) => index + 1)];
    const starts = this.#lineStarts;
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  #parsed() {
    if (this.#tree) return this.#tree;
    const { program, comments, errors } = parseSync(this.path, this.text);
    if (errors.length > 0) throw new Error(`${this.path} cannot be parsed: ${errors[0]!.message}`);
    this.#tree = { program: program as unknown as Node, comments };
    return this.#tree;
  }
}

export type Finding = { readonly rule: string; readonly path: string; readonly line: number; readonly message: string };

/** Looks at every file at once, so that a rule can compare them. */
export type Rule = { readonly name: string; check(repository: Repository): Finding[] };

export type Repository = {
  /** Absolute. */
  readonly root: string;
  readonly files: readonly SourceFile[];
  /** Parsed package.json files by folder; `` is the root. */
  readonly manifests: ReadonlyMap<string, Manifest>;
};

export type Manifest = {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
};

/** Calls `visit` for every node, parents first, with the nodes above it, the nearest last. */
export function walk(root: Node, visit: (node: Node, above: readonly Node[]) => void): void {
  const above: Node[] = [];
  const step = (node: Node): void => {
    visit(node, above);
    above.push(node);
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) step(item);
      } else if (isNode(value)) step(value);
    }
    above.pop();
  };
  step(root);
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** `Date.now` for a member expression, `setTimeout` for an identifier; null for anything less simple. */
export function dottedName(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === 'Identifier') return String(node['name']);
  if (node.type !== 'MemberExpression' || node['computed'] === true) return null;
  const object = dottedName(node['object']);
  const property = dottedName(node['property']);
  return object !== null && property !== null ? `${object}.${property}` : null;
}
