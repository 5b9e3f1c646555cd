import { type Logger as PinoLogger, destination, pino } from 'pino';

/** Structured log lines as JSON on standard error. Never pass tokens, cookies or whole headers. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & { child(bindings: Record<string, unknown>): Logger };

export type LogLevel = 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug';

export function createLogger(level: LogLevel): Logger {
  return pino(
    { level, base: null, redact: ['authorization', '*.authorization', 'token', '*.token', 'cookie', '*.cookie', 'secret', '*.secret'] },
    destination({ fd: 2, sync: true }),
  );
}

/** For tests and for tools that have nothing to say. */
export const silentLogger: Logger = pino({ level: 'silent' });
