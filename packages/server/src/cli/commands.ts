import type { Command } from './command.ts';
import { configCommand } from './commands/config.ts';
import { deadLetterCommands } from './commands/dead-letters.ts';
import { devCommand } from './commands/dev.ts';
import { eventsPublish } from './commands/events-publish.ts';
import { eventsTail } from './commands/events-tail.ts';
import { healthCommand } from './commands/health.ts';
import { initCommand } from './commands/init.ts';
import { schemaCommands } from './commands/schema.ts';
import { serveCommand } from './commands/serve.ts';
import { tokenCommand } from './commands/token.ts';

/** Every command, in the order in which the help lists them. */
export const commands: readonly Command[] = [
  initCommand,
  devCommand,
  serveCommand,
  tokenCommand,
  ...schemaCommands,
  eventsPublish,
  eventsTail,
  ...deadLetterCommands,
  configCommand,
  healthCommand,
];
