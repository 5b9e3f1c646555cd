import { MillraceError } from '../../kit/errors.ts';
import type { Command } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine } from '../print.ts';
import { connect, remoteFlags } from '../remote.ts';

export const healthCommand: Command = {
  path: ['health'],
  summary: 'Say whether the server is alive and ready.',
  flags: remoteFlags('admin'),
  examples: ['millrace health', 'millrace health --admin http://127.0.0.1:4002/'],
  exits: [EXIT.unavailable],
  async run(input, io) {
    const admin = await connect('admin', input, io);
    const [health, ready] = await Promise.all([admin.ask('/health'), admin.ask('/ready')]);
    if (health.status !== 200 || ready.status !== 200) {
      const said = (health.status === 200 ? ready : health).text.split('\n')[0]!.slice(0, 300);
      throw new MillraceError(
        cliErrors.SERVER_NOT_READY,
        `the server at ${admin.base.href} is ${health.status === 200 ? 'not ready' : 'not healthy'}: ${said}`,
      );
    }
    if (input.json) printJson(io, { healthy: true, ready: true, admin: admin.base.href });
    else printLine(io, `ready: ${admin.base.href}`);
    return EXIT.ok;
  },
};
