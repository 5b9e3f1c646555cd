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
});
