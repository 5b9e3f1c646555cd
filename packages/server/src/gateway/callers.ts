import type { Identity } from '../access/identity.ts';
import { identityHeaders } from '../access/upstream-headers.ts';
import { callerView } from '../access/view.ts';

/** As whom subgraphs are asked, and who may share work. Made once per identity object, which lives as long as its token is cached. */
export type Caller = { readonly view: string; readonly headers: Readonly<Record<string, string>> };

export class Callers {
  readonly #forwardToken: boolean;
  readonly #known = new WeakMap<Identity, Caller>();

  constructor(forwardToken: boolean) {
    this.#forwardToken = forwardToken;
  }

  of(identity: Identity): Caller {
    let caller = this.#known.get(identity);
    if (!caller) {
      caller = {
        view: callerView(identity, this.#forwardToken),
        headers: identityHeaders(identity, identity.tenant, 'user', this.#forwardToken),
      };
      this.#known.set(identity, caller);
    }
    return caller;
  }
}
