import { GraphQLError } from 'graphql';
import { type MillraceError, toMillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import { isTree } from './response-tree.ts';

export type ResponsePath = readonly (string | number)[];

/** Errors of one answer; further ones are counted in the last. */
export const RESPONSE_ERRORS_MAX = 100;
const MESSAGE_LENGTH_MAX = 2000;

/** Collects the errors of one execution, so that each fault is told once, at its place in the response. */
export class ResponseErrors {
  readonly list: GraphQLError[] = [];
  #more = 0;

  /** As subgraphs report them: the message and the code come through, addresses and stacks do not. */
  fromSubgraph(given: unknown, subgraph: string, locate: (path: ResponsePath) => ResponsePath | null): void {
    const error = isTree(given) ? given : {};
    const message =
      typeof error['message'] === 'string' ? error['message'].slice(0, MESSAGE_LENGTH_MAX) : 'the subgraph gave an error without a message';
    const path = isPath(error['path']) ? locate(error['path']) : locate([]);
    const extensions = isTree(error['extensions']) ? error['extensions'] : {};
    const code = typeof extensions['code'] === 'string' ? extensions['code'].slice(0, 100) : supergraphErrors.SUBGRAPH_ERROR.code;
    this.#add(message, path, { code, serviceName: subgraph });
  }

  /** A fetch that failed as a whole. */
  failure(thrown: unknown, subgraph: string, path: ResponsePath | null): void {
    const error = toMillraceError(thrown);
    this.#add(error.message, path, { code: error.code, serviceName: subgraph });
  }

  /** Null in a place that may not be null. Only told where no other error explains it already. */
  violation(path: ResponsePath): void {
    if (this.list.some((error) => explains(error.path, path))) return;
    this.#add('Cannot return null for a non-nullable field.', [...path], { code: supergraphErrors.VALUE_INVALID.code });
  }

  invalid(path: ResponsePath, what: string): void {
    this.#add(what, [...path], { code: supergraphErrors.VALUE_INVALID.code });
  }

  add(error: MillraceError, path: ResponsePath | null): void {
    this.#add(error.message, path, { code: error.code });
  }

  #add(message: string, path: ResponsePath | null, extensions: Record<string, unknown>): void {
    if (this.list.length < RESPONSE_ERRORS_MAX) {
      this.list.push(new GraphQLError(message, { ...(path && path.length > 0 ? { path: [...path] } : {}), extensions }));
      return;
    }
    this.#more++;
    this.list[RESPONSE_ERRORS_MAX - 1] = new GraphQLError(`${this.#more + 1} further errors`, {
      extensions: { code: supergraphErrors.SUBGRAPH_ERROR.code },
    });
  }
}

function isPath(value: unknown): value is ResponsePath {
  return Array.isArray(value) && value.every((step) => typeof step === 'string' || typeof step === 'number');
}

/** An error without a place, or one above or below this place, tells why it is null. */
function explains(known: ResponsePath | undefined, path: ResponsePath): boolean {
  if (!known) return true;
  const shared = Math.min(known.length, path.length);
  for (let i = 0; i < shared; i++) if (known[i] !== path[i]) return false;
  return true;
}
