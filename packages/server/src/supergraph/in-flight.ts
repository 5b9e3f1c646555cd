import type { ExecutionResult } from 'graphql';
import { MillraceError } from '../kit/errors.ts';
import { GraphQLError } from 'graphql';
import { supergraphErrors } from './errors.ts';
import type { OperationCall, PreparedOperation } from './generation.ts';

/**
 * Identical queries under way share one execution: same operation, same variables, same view. Never mutations. The shared work runs
 * under the first call's headers and deadline; a call that is cancelled leaves alone, and the work is aborted when all have left.
 */
export class InFlight {
  readonly #running = new Map<PreparedOperation, Map<string, Shared>>();
  readonly #onShared: () => void;

  constructor(onShared: () => void) {
    this.#onShared = onShared;
  }

  share(
    operation: PreparedOperation,
    call: OperationCall,
    run: (call: OperationCall) => Promise<ExecutionResult>,
  ): Promise<ExecutionResult> {
    let keyed = this.#running.get(operation);
    if (!keyed) this.#running.set(operation, (keyed = new Map()));
    const calls = keyed;
    const key = `${call.view}\n${JSON.stringify(call.variables)}`;
    const known = calls.get(key);
    if (known && !known.abandoned) {
      this.#onShared();
      return known.join(call.signal);
    }
    const shared = new Shared(call, run);
    calls.set(key, shared);
    void shared.result.finally(() => {
      if (calls.get(key) === shared) calls.delete(key);
      if (calls.size === 0) this.#running.delete(operation);
    });
    return shared.join(call.signal);
  }
}

class Shared {
  readonly result: Promise<ExecutionResult>;
  readonly #abort = new AbortController();
  #members = 0;
  /** Everybody left and the work is being aborted: nobody may join any more. */
  abandoned = false;

  constructor(call: OperationCall, run: (call: OperationCall) => Promise<ExecutionResult>) {
    this.result = run({ ...call, signal: this.#abort.signal });
  }

  join(signal: AbortSignal | null): Promise<ExecutionResult> {
    this.#members++;
    if (!signal) return this.result;
    return new Promise((resolve) => {
      const leave = (): void => {
        if (--this.#members === 0) {
          this.abandoned = true;
          this.#abort.abort();
        }
        const error = new MillraceError(supergraphErrors.REQUEST_CANCELLED, 'the caller went away');
        resolve({ errors: [new GraphQLError(error.message, { extensions: { code: error.code } })] });
      };
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      void this.result.then((result) => {
        signal.removeEventListener('abort', leave);
        resolve(result);
      });
    });
  }
}
