import { type Addresses, wsClient } from './harness.ts';

const QUERY = 'subscription($after: Cursor) { dealEvent(after: $after) { cursor action id missed raw } }';
type Event = {
  readonly cursor: string;
  readonly action: string;
  readonly id: string;
  readonly missed: number | null;
  readonly raw: { readonly event_id: string; readonly n: number };
};

/** Keeps a subscription through every death of the server, by cursor only. */
export class ResumingClient {
  readonly events: Event[] = [];
  readonly errors: unknown[] = [];
  #dispose: (() => void) | null = null;
  #wake: (() => void) | null = null;
  #connection = 0;

  connect(millrace: { readonly addresses: Addresses }, token: string): void {
    const client = wsClient(millrace.addresses, token);
    // What an abandoned connection still brings is not this client's any more: its successor asks for it by cursor.
    const connection = ++this.#connection;
    client.subscribe<{ dealEvent: Event }>(
      { query: QUERY, variables: { after: this.events.at(-1)?.cursor ?? null } },
      {
        next: (result) => {
          if (connection !== this.#connection) return;
          if (result.errors) this.errors.push(result.errors);
          if (result.data) this.events.push(result.data.dealEvent);
          this.#wake?.();
        },
        error: (error) => {
          // The socket dies with the server: expected. GraphQL errors are not.
          if (Array.isArray(error)) this.errors.push(error);
        },
        complete: () => {},
      },
    );
    this.#dispose = () => void Promise.resolve(client.dispose()).catch(() => undefined);
  }

  disconnect(): void {
    this.#connection += 1;
    this.#dispose?.();
  }

  async until(done: () => boolean, what: string): Promise<void> {
    const end = Date.now() + 20_000;
    while (!done()) {
      if (Date.now() > end)
        throw new Error(`${what}: still waiting with ${this.events.length} events, errors ${JSON.stringify(this.errors)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }
}
