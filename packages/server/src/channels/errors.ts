import { defineErrors } from '../kit/errors.ts';

export const channelsErrors = defineErrors({
  CHANNELS_CLOSED: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The channels are closing or closed.',
    action: 'Try again on another instance, or after the restart.',
  },
  CHANNELS_AWAY: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The store of the channels could not take the events; nothing of the call was published.',
    action: 'Nothing: the records are tried again. If it stays, see the log for the store.',
  },
  CHANNELS_OVERLOADED: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'More commands wait for the answer of the channels’ store than are allowed to; this one was not sent.',
    action: 'Nothing: the records are tried again. If it stays, the store is too slow: see its lag and its own load.',
  },
  CHANNELS_STORE_REFUSED: {
    class: 'setup',
    http: 503,
    retryable: false,
    meaning: 'The store of the channels refuses this process: wrong user or password, a missing right, or a version that is too old.',
    action: 'Compare `channels.redis` with the store’s users and version; docs/redis.md lists the rights that are needed.',
  },
  CHANNELS_LAYOUT_DIFFERS: {
    class: 'setup',
    http: 503,
    retryable: false,
    meaning: 'Other processes use the same store with another number of partitions; they and this one would not hear each other.',
    action: 'Give all processes the same `channels.redis.partitions`, or another `channels.redis.keyPrefix`.',
  },
});
