import { type LoadedConfig, explainConfig, explainDelivery, loadConfig, maskedConfig } from '../../server/config.ts';
import type { Command, Input, Io } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine, printTable } from '../print.ts';

export const configCommand: Command = {
  path: ['config'],
  summary: 'Check the configuration, and say where each value comes from.',
  details: 'Loads what `millrace dev` (or, with --mode production, `millrace serve`) would load in this folder, and starts nothing.',
  flags: [
    {
      name: 'explain',
      kind: 'boolean',
      doc: 'Show each value and where it came from, and what each source of events promises. Secrets are masked.',
    },
    { name: 'config', kind: 'text', value: 'FILE', doc: 'The configuration file, instead of millrace.config.* in this folder.' },
  ],
  takesOptions: true,
  examples: ['millrace config', 'millrace config --explain', 'millrace config --mode production --json'],
  exits: [EXIT.configuration],
  async run(input, io) {
    const loaded = await loadConfig({
      cwd: io.cwd,
      environment: io.environment,
      flags: input.options,
      configFile: input.text('config'),
      fallbackMode: 'dev',
    });
    print(loaded, input, io);
    return EXIT.ok;
  },
};

function print(loaded: LoadedConfig, input: Input, io: Io): void {
  const rows = explainConfig(loaded);
  const explained = [...rows, ...explainDelivery(loaded)];
  if (input.json) return printJson(io, input.has('explain') ? explained : maskedConfig(loaded));
  if (input.has('explain'))
    return printTable(
      io,
      ['KEY', 'VALUE', 'FROM'],
      explained.map(({ key, value, from }) => [key, value, from]),
    );
  const own = rows.filter(({ from }) => !from.startsWith('default')).length;
  printLine(
    io,
    `the configuration is valid: ${own} of ${rows.length} values given, ${loaded.file ?? 'no configuration file'}, mode ${loaded.config.mode}`,
  );
}
