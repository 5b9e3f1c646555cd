import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Command, Io } from '../command.ts';
import { usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine } from '../print.ts';

export const initCommand: Command = {
  path: ['init'],
  summary: 'Write a small working project: a schema with one live type, and how to run it.',
  details: 'Existing files are never overwritten.',
  positionals: [{ name: 'DIR', doc: 'the folder (default: this one)', optional: true }],
  examples: ['millrace init', 'millrace init shop'],
  async run(input, io) {
    const folder = resolve(io.cwd, input.positionals[0] ?? '.');
    const present = [...FILES.keys()].filter((name) => existsSync(join(folder, name)));
    if (present.length > 0) throw usageError(`${folder} already has ${present.join(', ')}: nothing was written; choose an empty folder`);
    writeProject(folder);
    report(folder, io, input.json);
    return EXIT.ok;
  },
};

function writeProject(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of FILES) writeFileSync(join(folder, name), content, { flag: 'wx' });
  } catch (error) {
    throw usageError(`cannot write to ${folder}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

function report(folder: string, io: Io, json: boolean): void {
  if (json) return printJson(io, { folder, files: [...FILES.keys()] });
  const from = relative(io.cwd, folder);
  printLine(io, `wrote ${[...FILES.keys()].join(', ')}\n\nnext:`);
  if (from !== '') printLine(io, `  cd ${from}`);
  printLine(io, '  npx millrace dev --supergraph-config supergraph.yaml\n\nREADME.md goes on from there.');
}

const SCHEMA = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])
type Query { orders: [Order!]! }
type Order @key(fields: "id") @live(topic: "shop.orders", tenant: "shop_id") {
  id: ID!
  status: String! @carried @filterable
  total: Float @carried @filterable
}
`;

// Nothing listens at routing_url: fields that events carry are served without asking anybody.
const SUPERGRAPH = `federation_version: =2.9.0
subgraphs:
  orders:
    # Where the service answers queries. Live events need nobody to answer here: every field of Order is carried by its events.
    routing_url: http://127.0.0.1:4101/graphql
    schema:
      file: ./schema.graphql
`;

const README = `# A live type

\`schema.graphql\` says that an \`Order\` changes live: its events arrive on the topic \`shop.orders\` as plain JSON, and belong to the tenant that
stands at \`shop_id\` in each of them.

1. Start the server in one terminal:

   \`\`\`sh
   npx millrace dev --supergraph-config supergraph.yaml
   \`\`\`

2. Make a token for a user of the tenant \`acme\`:

   \`\`\`sh
   npx millrace token --tenant acme --user ann
   \`\`\`

3. Open <http://127.0.0.1:4000/graphql>, put \`{"authorization": "Bearer …"}\` with that token under Headers, and subscribe:

   \`\`\`graphql
   subscription { orderEvent(filter: { total: { gte: 10 } }) { action order { id status total } } }
   \`\`\`

4. Publish a change in another terminal; it appears at once:

   \`\`\`sh
   npx millrace events publish --topic shop.orders '{"id": "1", "shop_id": "acme", "status": "paid", "total": 12.5, "action": "changed"}'
   \`\`\`

   The same with curl:

   \`\`\`sh
   curl -X POST 'http://127.0.0.1:4000/events?topic=shop.orders' -H "authorization: Bearer $(npx millrace token --tenant acme --user ann)" \\
     -H 'content-type: application/json' -d '{"id": "1", "shop_id": "acme", "status": "sent", "total": 12.5, "action": "changed"}'
   \`\`\`

\`npx millrace events tail\` shows events pass, with what became of each. The server follows \`schema.graphql\`: add a field, save, and it is there.
`;

const FILES: ReadonlyMap<string, string> = new Map([
  ['schema.graphql', SCHEMA],
  ['supergraph.yaml', SUPERGRAPH],
  ['README.md', README],
  ['.gitignore', '.millrace/\n'],
]);
