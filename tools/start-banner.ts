import { COMPANIES } from '../examples/crm/server/companies.ts';
import type { AllAddresses } from '../packages/server/src/server/runtime-file.ts';

const TRY = 52;

/** What a person needs to know when everything runs: where it is, and what to try. */
export function banner(addresses: AllAddresses, board: string, startedInMs: number): string {
  const [company, other] = COMPANIES;
  const [one, two] = company!.users;
  const stranger = other!.users[0]!;
  const at = (user: { readonly id: string }): string => new URL(`?user=${user.id}`, board).href.padEnd(36);
  return `
Ready; Millrace and the example started in ${(startedInMs / 1000).toFixed(1)} s.

A deals board, fed by a legacy monolith that publishes plain JSON. Open these beside each other:

  ${at(one!)} ${one!.name}, ${company!.name}
  ${at(two!)} ${two!.name}, of the same company: sees each change at once
  ${at(stranger)} ${stranger.name}, ${other!.name}: sees nothing of it

Millrace, on embedded defaults:

  GraphQL and explorer   ${addresses.graphql}
  events (POST)          ${addresses.events}
  registry               ${addresses.registry}
  metrics and health     ${addresses.admin}

Try next, in another terminal here:

  ${'npx millrace events tail'.padEnd(TRY)} what passes, and what became of it
  ${`npx millrace token --tenant ${company!.id} --user ${one!.id}`.padEnd(TRY)} for the explorer: {"authorization": "Bearer …"} under Headers
  curl -X POST '${addresses.events}?topic=crm.deals' \\
    -H "authorization: Bearer $(npx millrace token --tenant ${company!.id} --user ${one!.id})" -H 'content-type: application/json' \\
    -d '{"id": "d-1", "company_id": "${company!.id}", "title": "Hello", "account": "You", "value": 1000, "currency": "${company!.currency}", "stage_id": "qualified", "rev": 1, "updated_at": "2026-01-01T00:00:00Z", "action": "added"}'

Ctrl-C stops everything.
`;
}
