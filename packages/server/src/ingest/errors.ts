import { defineErrors } from '../kit/errors.ts';

/** Why a record became a dead letter after its bytes were found good. */
export const ingestErrors = defineErrors({
  NO_LIVE_TYPE: {
    class: 'setup',
    http: 422,
    retryable: false,
    meaning: 'No live type takes events from the topic that the record came from.',
    action: 'Push a schema with @live(topic: …) for it, then redrive; or stop publishing to the topic.',
  },
  PUBLISH_FAILED: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The event could not be published to its channel in as many attempts as are allowed.',
    action: 'Look at the store behind the channels, then redrive the dead letters.',
  },
});
