import type { Declared } from './declare.ts';
import { CONFIG_FILE_NAMES } from './file.ts';
import { declaredOptions } from './load.ts';

/** The text of docs/configuration.md. `npm run docs` writes it; a test compares. */
export function configurationReference(): string {
  const groups = new Map<string, Declared[]>();
  for (const each of declaredOptions) {
    const group = each.path.includes('.') ? each.path.split('.')[0]! : 'general';
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  const sections = [...groups].map(([name, members]) => `## ${name}\n\n${members.map(entry).join('\n')}`);
  return `${HEAD}\n${sections.join('\n')}`;
}

const HEAD = `# Configuration

<!-- Generated from packages/server/src/server/options.ts by \`npm run docs\`. -->

Every option has a default, so that no configuration is needed to start. A value is looked for in this order; the first that is found counts:

1. a flag, \`--live-max-sessions 5000\`
2. an environment variable, \`MILLRACE_LIVE_MAX_SESSIONS=5000\`
3. the configuration file: ${CONFIG_FILE_NAMES.map((name) => `\`${name}\``).join(', ')} in the working directory, or the file named by \`--config\` or \`MILLRACE_CONFIG\`
4. the default; where dev mode has another, both are given

Secrets can come from a file of their own: the key with \`File\` (\`cursor.keyFile\`), the variable with \`_FILE\` (\`MILLRACE_CURSOR_KEY_FILE\`).
Paths are relative to the working directory. Durations are written \`250ms\`, \`30s\`, \`5m\`, \`1h\`, \`7d\`; sizes \`64KiB\`, \`1MiB\`, \`2GiB\`.

\`\`\`yaml
# millrace.config.yaml
port: 4000
live:
  maxSessions: 5000
transports:
  allowedOrigins: [https://app.example.com]
access:
  issuers:
    - issuer: https://login.example.com/
      audience: millrace
      jwksUrl: https://login.example.com/.well-known/jwks.json
      claims: { tenant: org_id }
\`\`\`

\`millrace config\` validates what is there and names every problem at once; \`millrace config --explain\` shows each value and where it came from.
`;

function entry({ path, env, flag, spec }: Declared): string {
  const defaults = [`default \`${spec.kind.show(spec.default)}\``];
  if (spec.dev !== undefined) defaults.push(`in dev \`${spec.kind.show(spec.dev)}\``);
  const secret = spec.secret ? ' Secret.' : '';
  return `### ${path}

${spec.doc}${secret}

Takes ${spec.kind.takes}; ${defaults.join(', ')}. \`${env}\`, \`--${flag}\`
`;
}
