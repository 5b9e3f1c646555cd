/** The public face of configuration; what it consists of is declared in `options.ts`. */
export type { Config } from './options.ts';
export type { IssuerConfig } from './config/issuer.ts';
export { type BrokerConfig, type KafkaConfig, type RabbitConfig, repeatsKnown } from './config/broker.ts';
export { type LoadRequest, type LoadedConfig, declaredOptions, defaultConfig, loadConfig, problemLine } from './config/load.ts';
export { type Explained, explainConfig, explainDelivery, maskedConfig } from './config/explain.ts';
export { configurationReference } from './config/reference.ts';
export { configErrors } from './config/errors.ts';
export { type Environment, processEnvironment } from './config/environment.ts';
export { hint, nearest } from './config/suggest.ts';
