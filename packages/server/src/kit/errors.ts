/**
 * Every error that can reach a person or another program is declared once, with what it means and
 * what to do about it. Rooms declare their own with `defineErrors` in a file `errors.ts`; `server/catalogue.ts`
 * collects them and a test compares the collection with `spec/errors.md`.
 */
export type ErrorClass =
  /** The caller sent something wrong; sending the same again fails again. */
  | 'input'
  /** Not signed in, or not allowed. */
  | 'auth'
  /** A bound was reached; smaller or later works. */
  | 'limit'
  /** A subgraph, broker or store that Millrace depends on failed. */
  | 'upstream'
  /** The installation is wrong: configuration, files, ports. */
  | 'setup'
  /** A fault of Millrace's own. */
  | 'internal';

export type ErrorSpec = {
  readonly code: string;
  readonly class: ErrorClass;
  /** HTTP status used wherever the error is the whole answer. */
  readonly http: number;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  readonly meaning: string;
  /** What the reader should do. */
  readonly action: string;
};

export function defineErrors<const T extends Record<string, Omit<ErrorSpec, 'code'>>>(specs: T): { readonly [K in keyof T]: ErrorSpec } {
  const out: Record<string, ErrorSpec> = {};
  for (const [code, spec] of Object.entries(specs)) out[code] = Object.freeze({ code, ...spec });
  return out as { readonly [K in keyof T]: ErrorSpec };
}

/** An error with a catalogue entry. `message` is safe to show to whoever caused it: no secrets, no stack, no foreign data. */
export class MillraceError extends Error {
  readonly spec: ErrorSpec;
  /** Machine-readable particulars, shown to the caller beside the code. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(spec: ErrorSpec, message: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'MillraceError';
    this.spec = spec;
    this.details = details;
  }

  get code(): string {
    return this.spec.code;
  }
}

export const kitErrors = defineErrors({
  INTERNAL: {
    class: 'internal',
    http: 500,
    retryable: true,
    meaning: 'A fault inside Millrace; the log has the particulars under the request id.',
    action: 'Report it with the request id.',
  },
});

/** Anything thrown becomes a MillraceError; what was not one is INTERNAL and keeps its cause for the log only. */
export function toMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  return new MillraceError(kitErrors.INTERNAL, 'internal error', {}, thrown);
}

/** What was thrown, in words for the log. Not for callers: the message of a stranger's error may hold anything. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
