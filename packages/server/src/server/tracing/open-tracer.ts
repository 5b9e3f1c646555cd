import { readFileSync } from 'node:fs';
import { MillraceError, reasonOf } from '../../kit/errors.ts';
import { type Tracer, noTracer } from '../../kit/tracer.ts';
import type { Base } from '../base.ts';
import { serverErrors } from '../errors.ts';

/** Ms that the end of the program waits for the collector to take the last spans. */
const FLUSH_MS = 3_000;

/**
 * The tracer that the configuration asks for. Without an endpoint nothing of OpenTelemetry is loaded. Throws FILE_UNREADABLE and
 * TRACING_HEADERS_INVALID; a collector that is away is no reason not to start.
 */
export async function openTracer({ config, metrics, clock, random, log, closing }: Omit<Base, 'tracer'>): Promise<Tracer> {
  const { endpoint, ratio, headersFile } = config.tracing;
  if (endpoint === null) return noTracer;
  const headers = headersFile === null ? {} : readHeaders(headersFile);
  const [{ OpenTelemetryTracer }, { createTracingMetrics }] = await Promise.all([import('./open-telemetry.ts'), import('./metrics.ts')]);
  const tracer = new OpenTelemetryTracer(
    { endpoint, headers, ratio, roles: config.roles },
    { metrics: createTracingMetrics(metrics), clock, random, log },
  );
  closing.defer(() => tracer.close(FLUSH_MS));
  return tracer;
}

/** `name: value`, one a line; blank lines and those that begin with # are none. Never shows a line: it may be a secret. */
export function readHeaders(path: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [index, line] of textOf(path).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new MillraceError(
        serverErrors.TRACING_HEADERS_INVALID,
        `tracing.headersFile: line ${index + 1} of ${path} is not "name: value"`,
      );
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MillraceError(serverErrors.FILE_UNREADABLE, `tracing.headersFile: ${path} cannot be read: ${reasonOf(error)}`, {}, error);
  }
}
