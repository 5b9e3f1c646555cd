import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { COMPANIES } from './companies.ts';
import type { Subgraph } from './subgraph.ts';

type UserRow = { readonly id: string; readonly name: string; readonly email: string; readonly job_title: string };

/** People, in a store of its own. `close` ends the store. */
export function usersSubgraph(path: string): Subgraph & { close(): void } {
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE IF NOT EXISTS users (company TEXT, id TEXT, name TEXT, email TEXT, job_title TEXT, PRIMARY KEY (company, id))');
  const insert = db.prepare('INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?)');
  for (const company of COMPANIES) {
    for (const user of company.users) insert.run(company.id, user.id, user.name, `${user.id}@${company.id}.example`, user.jobTitle);
  }
  const all = db.prepare('SELECT id, name, email, job_title FROM users WHERE company = ? ORDER BY name');
  const one = db.prepare('SELECT id, name, email, job_title FROM users WHERE company = ? AND id = ?');
  return {
    sdl: readFileSync(new URL('../schemas/users.graphql', import.meta.url), 'utf8'),
    root: { users: (_args, { tenant }) => (all.all(tenant) as unknown as UserRow[]).map(toUser) },
    entities: {
      User: ({ id }, { tenant }) => {
        const row = one.get(tenant, String(id)) as unknown as UserRow | undefined;
        return row ? toUser(row) : null;
      },
    },
    close: () => db.close(),
  };
}

function toUser({ job_title, ...user }: UserRow) {
  return { ...user, jobTitle: job_title };
}
