import { defineErrors } from '../kit/errors.ts';

export const serverErrors = defineErrors({
  NOT_FOUND: {
    class: 'input',
    http: 404,
    retryable: false,
    meaning: 'Nothing is served at this path of this port.',
    action: 'Compare the address with the ones that `millrace dev` printed; each port serves its own paths.',
  },
  METHOD_NOT_ALLOWED: {
    class: 'input',
    http: 405,
    retryable: false,
    meaning: 'The path is right, the method is not.',
    action: 'Use a method that the Allow header names.',
  },
  DEAD_LETTER_UNKNOWN: {
    class: 'input',
    http: 404,
    retryable: false,
    meaning: 'There is no dead letter by this id; old ones go when the bound on count or age is reached.',
    action: 'List them with `millrace dead-letters list`.',
  },
  TAIL_LISTENERS_EXHAUSTED: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'As many listeners follow the events as one process serves.',
    action: 'End another `millrace events tail` first.',
  },
  SUPERGRAPH_NOT_PUSHED: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'The subgraphs that --supergraph-config names could not be pushed at the start.',
    action: 'Mend what the log says about them and start again.',
  },
  CURSOR_KEYS_ALIKE: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'Two cursor keys cannot be told apart by the id that stands in each cursor (one chance in 256).',
    action: 'Choose another random `cursor.key`.',
  },
  HOST_NOT_SERVED: {
    class: 'input',
    http: 421,
    retryable: false,
    meaning: 'In dev mode a request came under a host name that is not this machine’s: a web page elsewhere might be behind it.',
    action: 'Use localhost or 127.0.0.1, or add the origin of that name to `transports.allowedOrigins`.',
  },
  FILE_UNREADABLE: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'A file that the configuration names cannot be read.',
    action: 'Mend the path or the rights of the file and start again.',
  },
  HOST_NOT_LOOPBACK: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'In dev mode, whose tokens anybody can make, the server was told to listen beyond this machine.',
    action: 'Leave `host` on a loopback address, or use `millrace serve` with real issuers.',
  },
});
