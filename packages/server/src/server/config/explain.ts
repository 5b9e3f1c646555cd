import { type Delivery, repeatsKnown } from './broker.ts';
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

/** What each source promises, after the values: no single value says it. */
export function explainDelivery({ config, origins }: LoadedConfig): Explained[] {
  const { env, flag } = declaredOptions.find(({ path }) => path === 'brokers')!;
  const row = (source: string, value: string, from: string): Explained => ({
    key: `delivery of ${source}`,
    value,
    from,
    env,
    flag: `--${flag}`,
  });
  const again = 'settled after its effect, delivered again after a crash';
  const meaning: Readonly<Record<Delivery, string>> = {
    'at-most-once': 'at-most-once: settled before it is handled; never twice, lost where the process dies with it',
    'at-least-once': `at-least-once: ${again}; the channel drops a repeat that it remembers`,
    'effectively-once': `effectively-once: ${again}; a repeat among the last ${repeatsKnown(config.ingest.maxInFlight)} events of its channel is dropped, after a restart too`,
  };
  return [
    row('embedded', meaning['at-least-once'], 'built in'),
    ...config.brokers.map(({ type, name, delivery }) => row(`${type}:${name}`, meaning[delivery], origins.get('brokers')!)),
  ];
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
