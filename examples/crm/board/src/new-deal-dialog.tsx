import { type FormEvent, type RefObject, useState } from 'react';
import type { User } from './documents.ts';
import type { NewDeal } from './use-board.ts';

type Props = {
  readonly ref: RefObject<HTMLDialogElement | null>;
  readonly users: readonly User[];
  readonly me: string;
  onCreate(deal: NewDeal): Promise<string | null>;
  onCreated(text: string): void;
};

export function NewDealDialog({ ref, users, me, onCreate, onCreated }: Props) {
  const [reason, setReason] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const text = (name: string): string => {
      const value = data.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    const deal = { title: text('title'), account: text('account'), value: Number(data.get('value')), ownerId: text('owner') };
    setBusy(true);
    void onCreate(deal).then((failure) => {
      setBusy(false);
      setReason(failure);
      if (failure !== null) return;
      form.reset();
      ref.current?.close();
      onCreated(`${deal.title} added`);
    });
  };
  return (
    <dialog ref={ref} aria-labelledby="new-deal-title" onClick={(event) => event.target === ref.current && ref.current.close()}>
      <form onSubmit={submit}>
        <h2 id="new-deal-title">New deal</h2>
        <label>
          Title
          <input name="title" required maxLength={200} autoComplete="off" placeholder="Cold-chain pilot" />
        </label>
        <label>
          Customer
          <input name="account" required maxLength={200} autoComplete="off" placeholder="Meyer Frischdienst" />
        </label>
        <div className="pair">
          <label>
            Value
            <input name="value" type="number" required min={0} max={1e12} step="any" inputMode="decimal" placeholder="25000" />
          </label>
          <label>
            Owner
            <select name="owner" defaultValue={me} key={users.length}>
              {users.map((user) => (
                <option key={user.id} value={user.id}>
                  {user.name}
                </option>
              ))}
            </select>
          </label>
        </div>
        {reason !== null && (
          <p className="banner bad" role="alert">
            {reason}
          </p>
        )}
        <footer>
          <button type="button" className="quiet" onClick={() => ref.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="primary" disabled={busy}>
            Add deal
          </button>
        </footer>
      </form>
    </dialog>
  );
}
