import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { COMPANIES, STAGES } from './companies.ts';
import type { Subgraph } from './subgraph.ts';

/** Stages under the names that each company gave them, in a store of its own. `close` ends the store. */
export function pipelinesSubgraph(path: string): Subgraph & { close(): void } {
  const db = new DatabaseSync(path);
  db.exec(`CREATE TABLE IF NOT EXISTS stages
    (company TEXT, id TEXT, name TEXT, position INTEGER, probability REAL, kind TEXT, PRIMARY KEY (company, id))`);
  const insert = db.prepare('INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?, ?, ?)');
  for (const company of COMPANIES) {
    STAGES.forEach((stage, i) => insert.run(company.id, stage.id, company.stageNames[i] ?? stage.id, i, stage.probability, stage.kind));
  }
  const all = db.prepare('SELECT id, name, position, probability, kind FROM stages WHERE company = ? ORDER BY position');
  const one = db.prepare('SELECT id, name, position, probability, kind FROM stages WHERE company = ? AND id = ?');
  return {
    sdl: readFileSync(new URL('../schemas/pipelines.graphql', import.meta.url), 'utf8'),
    root: { stages: (_args, { tenant }) => all.all(tenant) },
    entities: { Stage: ({ id }, { tenant }) => one.get(tenant, String(id)) ?? null },
    close: () => db.close(),
  };
}
