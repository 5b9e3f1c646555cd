import type { Command } from '../command.ts';
import { usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine } from '../print.ts';

export const tokenCommand: Command = {
  path: ['token'],
  summary: 'Print a token that only a server in dev mode accepts.',
  flags: [
    { name: 'tenant', kind: 'text', value: 'T', doc: 'The tenant (mandatory).' },
    { name: 'user', kind: 'text', value: 'U', doc: 'The user (mandatory).' },
    { name: 'role', kind: 'text', value: 'R', many: true, doc: 'A role of the user; may be repeated.' },
    { name: 'group', kind: 'text', value: 'G', many: true, doc: 'A group of the user; may be repeated.' },
    { name: 'scope', kind: 'text', value: 'S', many: true, doc: 'A scope of the token; may be repeated.' },
    { name: 'expires', kind: 'text', value: '1h', doc: 'How long it is good for: 30m, 1h, 7d (default 1h, at most a year).' },
  ],
  examples: ['millrace token --tenant acme --user ann', 'millrace token --tenant acme --user ann --role admin --expires 7d'],
  async run(input, io) {
    const [tenant, user] = [input.text('tenant'), input.text('user')];
    if (!tenant || !user) throw usageError('millrace token needs --tenant T and --user U');
    const { issueDevToken } = await import('../../access/dev-tokens.ts');
    const expiresIn = input.text('expires');
    const token = await issueDevToken({
      tenant,
      user,
      roles: input.texts('role'),
      groups: input.texts('group'),
      scopes: input.texts('scope'),
      ...(expiresIn === null ? {} : { expiresIn }),
    }).catch((error: unknown) => {
      throw usageError(`--${(error as Error).message}`);
    });
    if (input.json) printJson(io, { token, tenant, user });
    else printLine(io, token);
    return EXIT.ok;
  },
};
