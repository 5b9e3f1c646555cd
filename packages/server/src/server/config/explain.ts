import { type LoadedConfig, declaredOptions } from './load.ts';

export type Explained = {
  readonly key: string;
  /** As a person would write it; secrets are masked. */
  readonly value: string;
  readonly from: string;
  readonly env: string;
  readonly flag: string;
};

/** Each value and where it came from, in the order of the declaration. */
export function explainConfig({ config, origins }: LoadedConfig): Explained[] {
  return declaredOptions.map(({ path, env, flag, spec }) => {
    const value = valueOf(config, path);
    return {
      key: path,
      value: spec.secret && value !== null ? '(secret)' : spec.kind.show(value),
      from: origins.get(path)!,
      env,
      flag: `--${flag}`,
    };
  });
}

/** The configuration as JSON that may be shown: secrets replaced, issuers without their keys. */
export function maskedConfig(loaded: LoadedConfig): Readonly<Record<string, unknown>> {
  const secrets = new Set(declaredOptions.filter(({ spec }) => spec.secret).map(({ path }) => path));
  const mask = (node: unknown, path: string): unknown => {
    if (node === null || typeof node !== 'object')
      return node !== null && (secrets.has(path) || /\.(secret|publicKey)$|^brokers\.(password|key)$/.test(path)) ? '(secret)' : node;
    if (Array.isArray(node)) return node.map((item) => mask(item, path));
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, mask(value, path === '' ? key : `${path}.${key}`)]));
  };
  return mask(loaded.config, '') as Readonly<Record<string, unknown>>;
}

function valueOf(config: unknown, path: string): unknown {
  return path.split('.').reduce((node, step) => (node as Readonly<Record<string, unknown>>)[step], config);
}
