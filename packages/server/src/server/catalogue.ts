import { accessErrors } from '../access/errors.ts';
import { brokersErrors } from '../brokers/errors.ts';
import { channelsErrors } from '../channels/errors.ts';
import { eventErrors } from '../events/errors.ts';
import { gatewayErrors } from '../gateway/errors.ts';
import { ingestErrors } from '../ingest/errors.ts';
import { type ErrorSpec, kitErrors } from '../kit/errors.ts';
import { sqliteErrors } from '../kit/sqlite-errors.ts';
import { liveErrors } from '../live/errors.ts';
import { registryErrors } from '../registry/errors.ts';
import { schemaErrors, supergraphErrors } from '../supergraph/errors.ts';
import { transportsErrors } from '../transports/errors.ts';
import { configErrors } from './config/errors.ts';
import { serverErrors } from './errors.ts';

export type CatalogueSection = { readonly title: string; readonly errors: readonly ErrorSpec[] };

/** Every error that can reach a person or another program, in the order in which spec/errors.md shows them. */
export const catalogue: readonly CatalogueSection[] = [
  { title: 'Identity and permission', errors: Object.values(accessErrors) },
  { title: 'Events and mappings', errors: Object.values(eventErrors) },
  { title: 'Event ingest and the log', errors: Object.values(brokersErrors) },
  { title: 'Processing of events', errors: Object.values(ingestErrors) },
  { title: 'Channels', errors: Object.values(channelsErrors) },
  { title: 'Live subscriptions', errors: Object.values(liveErrors) },
  { title: 'Transports', errors: Object.values(transportsErrors) },
  { title: 'Operations', errors: Object.values(gatewayErrors) },
  { title: 'Schemas', errors: Object.values(schemaErrors) },
  { title: 'Supergraph and subgraphs', errors: Object.values(supergraphErrors) },
  { title: 'Registry', errors: Object.values(registryErrors) },
  { title: 'Server', errors: Object.values(serverErrors) },
  { title: 'Configuration', errors: Object.values(configErrors) },
  { title: 'Data folder', errors: Object.values(sqliteErrors) },
  { title: 'Faults of Millrace itself', errors: Object.values(kitErrors) },
];

/** The text of spec/errors.md. `npm run docs` writes it; a test compares. */
export function errorReference(sections: readonly CatalogueSection[]): string {
  const tables = sections
    .filter(({ errors }) => errors.length > 0)
    .map(({ title, errors }) => `## ${title}\n\n${HEAD}\n${errors.map(row).join('\n')}`);
  return `${INTRODUCTION}\n${tables.join('\n\n')}\n`;
}

const INTRODUCTION = `# Errors

<!-- Generated from the \`errors.ts\` of every room by \`npm run docs\`. -->

Every error that reaches a person or another program has a code. A code never changes its meaning; new ones may come. The message beside it is for
people and may change; it holds no secrets and nothing of other tenants. In GraphQL the code stands in \`extensions.code\`, over HTTP in
\`error.code\`, on the command line in brackets at the end of the line.

| class | meaning |
|---|---|
| \`input\` | the caller sent something wrong; sending the same again fails again |
| \`auth\` | not signed in, or not allowed |
| \`limit\` | a bound was reached; smaller or later works |
| \`upstream\` | a subgraph, a broker or a store that Millrace depends on failed |
| \`setup\` | the installation is wrong: configuration, files, ports |
| \`internal\` | a fault of Millrace's own |

"HTTP" is the status wherever the error is the whole answer; "retry" says whether the same request may succeed later without a change.
`;

const HEAD = '| code | class | HTTP | retry | meaning | what to do |\n|---|---|---|---|---|---|';

function row({ code, class: kind, http, retryable, meaning, action }: ErrorSpec): string {
  const cells = [`\`${code}\``, kind, String(http), retryable ? 'yes' : 'no', meaning, action];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}
