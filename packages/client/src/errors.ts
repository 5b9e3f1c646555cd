import type { GraphqlError } from './protocol.ts';

export type LiveErrorCode =
  /** The server refused the operation; `graphqlErrors` says why. It is not tried again. */
  | 'OPERATION_REFUSED'
  /** The connection closed with a code after which trying again would not help. */
  | 'CONNECTION_REFUSED'
  /** `token` threw or rejected. It is tried again with back-off. */
  | 'TOKEN_FAILED'
  | 'CLIENT_CLOSED';

export class LiveError extends Error {
  readonly code: LiveErrorCode;
  readonly graphqlErrors: readonly GraphqlError[];
  /** WebSocket close code, where there was one. */
  readonly closeCode: number | null;

  constructor(
    code: LiveErrorCode,
    message: string,
    more: { graphqlErrors?: readonly GraphqlError[]; closeCode?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'LiveError';
    this.code = code;
    this.graphqlErrors = more.graphqlErrors ?? [];
    this.closeCode = more.closeCode ?? null;
  }
}
