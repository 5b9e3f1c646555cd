import { defineErrors } from '../../kit/errors.ts';

export const configErrors = defineErrors({
  CONFIG_UNREADABLE: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'The configuration file, or a file that holds a secret, is missing, unreadable or cannot be parsed.',
    action: 'Mend the file that the message names, or name another with --config.',
  },
  CONFIG_INVALID: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'Values of the configuration are unknown, of the wrong kind, out of bounds, or contradict each other.',
    action: 'Correct every key that the message names; docs/configuration.md lists all of them.',
  },
});
