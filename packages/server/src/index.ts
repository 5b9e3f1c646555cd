/** For programs that run Millrace inside their own process; everything else is the command line's business. */
export { type Config, type LoadRequest, type LoadedConfig, defaultConfig, loadConfig } from './server/config.ts';
export type { Addresses } from './server/runtime-file.ts';
export { type RunningServer, startServer } from './server/start-server.ts';
