import { declaredOptions } from '../server/config.ts';
import type { Command, Flag } from './command.ts';
import { EXIT, EXIT_MEANING, type ExitCode } from './exit-codes.ts';
import { COMMON_FLAGS } from './parse.ts';

/** `millrace` and `millrace --help`. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map((command) => [`${command.path.join(' ')} ${positionals(command)}`.trim(), command.summary] as const);
  return `Millrace turns the events that you already publish into a live, typed GraphQL API.

Usage: millrace COMMAND [flags]

Commands:
${columns(rows)}

millrace COMMAND --help shows flags, examples and exit codes; millrace --version the version.
`;
}

/** The commands of a group, `millrace events`. */
export function groupHelp(group: string, commands: readonly Command[]): string {
  const rows = commands.map((command) => [`${command.path.join(' ')} ${positionals(command)}`.trim(), command.summary] as const);
  return `Usage: millrace ${group} COMMAND [flags]\n\nCommands:\n${columns(rows)}\n`;
}

export function commandHelp(command: Command): string {
  const parts = [command.summary, `Usage: ${usage(command)}`];
  if (command.details) parts.splice(1, 0, wrap(command.details.replaceAll('\n', ' '), 100).join('\n'));
  if (command.positionals?.length) parts.push(`Arguments:\n${columns(command.positionals.map(({ name, doc }) => [name, doc]))}`);
  parts.push(`Flags:\n${columns(flagsOf(command).map((flag) => [flagText(flag), flag.doc]))}`);
  if (command.takesOptions) parts.push('Every option of docs/configuration.md is a flag too: --log-level debug, --live-max-sessions 5000.');
  parts.push(`Examples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`);
  parts.push(`Exit codes:\n${columns(exits(command).map((code) => [String(code), EXIT_MEANING.get(code)!]))}`);
  return `${parts.join('\n\n')}\n`;
}

/** docs/cli.md. `npm run docs` writes it; a test compares. */
export function cliReference(commands: readonly Command[]): string {
  const exitRows = [...EXIT_MEANING].map(([code, meaning]) => `| ${code} | ${meaning} |`).join('\n');
  return `# The command line

<!-- Generated from packages/server/src/cli by \`npm run docs\`. -->

\`millrace COMMAND [flags]\`. Results go to standard output, everything else to standard error; \`--json\` gives results as JSON. An error is one
line, \`error: what was wrong (CODE)\`; [errors.md](../spec/errors.md) explains the codes.

Commands that talk to a server find a running \`millrace dev\` by \`<data>/runtime.json\`, in \`.millrace\` or the folder given by \`--data\`; others are named
by flag or environment: \`--registry\` (\`MILLRACE_REGISTRY\`), \`--admin\` (\`MILLRACE_ADMIN\`), \`--events\` (\`MILLRACE_EVENTS\`), with a token in
\`--token\` (\`MILLRACE_TOKEN\`). For a server on this machine a development token is made when none is given.

## Exit codes

| code | meaning |
|---|---|
${exitRows}

${commands.map(section).join('\n')}`;
}

function section(command: Command): string {
  const flags = flagsOf(command)
    .map((flag) => `| \`${flagText(flag)}\` | ${flag.doc} |`)
    .join('\n');
  const details = command.details ? `\n${command.details}\n` : '';
  return `## millrace ${command.path.join(' ')}

${command.summary}
${details}
    ${usage(command)}

| flag | |
|---|---|
${flags}

Exit codes: ${exits(command).join(', ')}.${command.takesOptions ? ' Every option of [configuration.md](configuration.md) is a flag too.' : ''}

\`\`\`sh
${command.examples.join('\n')}
\`\`\`
`;
}

/** The options that people reach for first are shown by name. */
const SHOWN_OPTIONS = new Set(['port', 'data', 'supergraph-config', 'log-level']);

function flagsOf(command: Command): readonly Flag[] {
  const own = command.flags ?? [];
  const shown = command.takesOptions ? declaredOptions.filter(({ flag }) => SHOWN_OPTIONS.has(flag)) : [];
  const options = shown.map(({ flag, spec }): Flag => ({ name: flag, kind: 'text', value: 'VALUE', doc: spec.doc }));
  return [...own, ...options, ...COMMON_FLAGS];
}

function exits(command: Command): readonly ExitCode[] {
  return [EXIT.ok, EXIT.failed, EXIT.usage, ...(command.exits ?? [])];
}

function usage(command: Command): string {
  return `millrace ${command.path.join(' ')} ${positionals(command)} [flags]`.replace(/ {2,}/g, ' ');
}

function positionals(command: Command): string {
  return (command.positionals ?? []).map(({ name, optional }) => (optional ? `[${name}]` : name)).join(' ');
}

function flagText({ name, kind, value, many }: Flag): string {
  return `--${name}${kind === 'boolean' ? '' : ` ${value ?? 'TEXT'}`}${many ? ' ...' : ''}`;
}

/** Two columns; a long right-hand side wraps under itself at 100 characters. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(32, Math.max(...rows.map(([left]) => left.length)));
  return rows
    .flatMap(([left, right]) => {
      const lines = wrap(right, 96 - width);
      const head = left.length > width ? [`  ${left}`, `  ${' '.repeat(width)}  ${lines[0]}`] : [`  ${left.padEnd(width)}  ${lines[0]}`];
      return [...head, ...lines.slice(1).map((line) => `  ${' '.repeat(width)}  ${line}`)];
    })
    .join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 > width && line !== '') lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
