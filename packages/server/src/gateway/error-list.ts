import { type GraphQLError, GraphQLError as GraphQLErrorClass } from 'graphql';
import { kitErrors, MillraceError, toMillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { supergraphErrors } from '../supergraph/errors.ts';
import type { GatewayMetrics } from './metrics.ts';

/** One entry of `errors` in an answer. */
export type ShownError = {
  readonly message: string;
  readonly locations?: readonly unknown[];
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>>;
};

/** Extensions that servers put in for their own developers. */
const PRIVATE = new Set(['stacktrace', 'exception', 'stack', 'originalError']);

/**
 * What clients may see of errors. Errors with a code keep it, with message and path; anything thrown that nobody foresaw becomes
 * INTERNAL with the request id, and its particulars go to the log.
 */
export class ErrorMask {
  readonly #log: Logger;
  readonly #metrics: GatewayMetrics;

  constructor(log: Logger, metrics: GatewayMetrics) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** Errors in an execution result. */
  ofResult(errors: readonly GraphQLError[], requestId: string): ShownError[] {
    return errors.map((error) => this.#shown(error, requestId));
  }

  /** Errors of a document; `code` for those that have none. */
  ofDocument(errors: readonly GraphQLError[], code: string): ShownError[] {
    return errors.map((error) => {
      const { message, locations, path, extensions } = error.toJSON();
      return { message, ...(locations ? { locations } : {}), ...(path ? { path } : {}), extensions: { code, ...visible(extensions) } };
    });
  }

  /** Anything that was thrown. */
  ofThrown(thrown: unknown, requestId: string): ShownError {
    const error = toMillraceError(thrown);
    return error.code === kitErrors.INTERNAL.code ? this.#internal(error.cause ?? error, requestId) : this.#coded(error, requestId);
  }

  #shown(error: GraphQLError, requestId: string): ShownError {
    // Duck-typed: an executor may hand over plain formatted errors of a subgraph.
    const { message, locations, path, extensions } = error instanceof GraphQLErrorClass ? error.toJSON() : error;
    const where = { ...(locations ? { locations } : {}), ...(path ? { path } : {}) };
    const original = error.originalError;
    if (original instanceof MillraceError) return { ...this.ofThrown(original, requestId), ...where };
    if (typeof extensions?.['code'] === 'string') return { message, ...where, extensions: visible(extensions) };
    if (original && !(original instanceof GraphQLErrorClass)) return { ...this.#internal(original, requestId), ...where };
    return { message, ...where, extensions: { code: supergraphErrors.SUBGRAPH_ERROR.code, ...visible(extensions) } };
  }

  /** Messages of coded errors are safe to show; faults of our own are worth a line in the log all the same. */
  #coded(error: MillraceError, requestId: string): ShownError {
    if (error.spec.class === 'internal') this.#log.error({ err: error, requestId }, 'an operation failed');
    return { message: error.message, extensions: { code: error.code, ...error.details } };
  }

  #internal(cause: unknown, requestId: string): ShownError {
    this.#metrics.masked.inc();
    this.#log.error({ err: cause, requestId }, 'an error nobody foresaw, shown as INTERNAL');
    return { message: 'internal error', extensions: { code: kitErrors.INTERNAL.code, requestId } };
  }
}

function visible(extensions: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(extensions ?? {}).filter(([key]) => !PRIVATE.has(key)));
}
