import { mkdirSync } from 'node:fs';
import { type Authenticator } from '../access/identity.ts';
import { createAuthenticator } from '../access/authenticator.ts';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { type Logger, createLogger } from '../kit/log.ts';
import { isLoopbackHost } from '../kit/loopback.ts';
import { Metrics } from '../kit/metrics.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import type { Tracer } from '../kit/tracer.ts';
import { toSqliteError } from '../kit/sqlite.ts';
import { resolve } from 'node:path';
import type { Config } from './config.ts';
import { serverErrors } from './errors.ts';
import type { Role } from './roles.ts';
import { type RoomOptions, roomOptions } from './room-options.ts';

/** What every part of the program stands on. */
export type Base = {
  readonly config: Config;
  readonly rooms: RoomOptions;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly authenticator: Authenticator;
  readonly has: (role: Role) => boolean;
  /** What has been opened, closed in reverse, also where the start fails half way. */
  readonly closing: AsyncDisposableStack;
};

/** Throws HOST_NOT_LOOPBACK, DATA_UNUSABLE, ACCESS_MISCONFIGURED. */
export function createBase(config: Config, closing: AsyncDisposableStack): Omit<Base, 'tracer'> {
  if (config.mode === 'dev' && !isLoopbackHost(config.host)) {
    throw new MillraceError(
      serverErrors.HOST_NOT_LOOPBACK,
      `host is ${config.host}: dev mode, whose tokens anybody can make, listens on this machine only`,
    );
  }
  const dataDir = resolve(config.dataDir);
  try {
    // Ours alone: the log and the history hold every tenant's events, and other users of the machine may read files.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw toSqliteError(error, dataDir);
  }
  const rooms = roomOptions(config);
  const log = createLogger(config.log.level);
  const metrics = new Metrics();
  const authenticator = createAuthenticator({ ...rooms.authenticator, clock: systemClock, log, metrics });
  const has = (role: Role): boolean => config.roles.includes(role);
  return { config, rooms, dataDir, clock: systemClock, random: systemRandom, log, metrics, authenticator, has, closing };
}
