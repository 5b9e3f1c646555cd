import { type MillraceError, toMillraceError } from '../kit/errors.ts';

/** One GraphQL error as JSON text of a list, as error frames and refusals carry it (spec/errors.md). */
export function errorsText(thrown: unknown): string {
  return JSON.stringify([graphqlError(toMillraceError(thrown))]);
}

function graphqlError(error: MillraceError): unknown {
  const { code, retryable } = error.spec;
  const details = Object.keys(error.details).length > 0 ? { details: error.details } : {};
  return { message: error.message, extensions: { code, retryable, ...details } };
}
