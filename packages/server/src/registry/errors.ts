import { defineErrors } from '../kit/errors.ts';

const input = { class: 'input', http: 400, retryable: false } as const;

export const registryErrors = defineErrors({
  REQUEST_INVALID: {
    ...input,
    meaning: 'The body or the query of a request to the registry has the wrong shape.',
    action: 'Mend what `details` names.',
  },
  BODY_NOT_JSON: { ...input, meaning: 'The body is not a JSON object in UTF-8.', action: 'Send a JSON object.' },
  BODY_TOO_LARGE: {
    class: 'limit',
    http: 413,
    retryable: false,
    meaning: 'The body is larger than 16 MiB.',
    action: 'Send less at once: push services one by one.',
  },
  VERSION_TAKEN: {
    ...input,
    meaning: 'The service has this version with another schema.',
    action: 'Push under a new version, or as `latest`.',
  },
  VERSION_UNKNOWN: {
    ...input,
    meaning: 'A service or version named in a request is not registered, or its schema is inactive.',
    action: 'Push it first, or leave it out.',
  },
  PERSISTED_QUERY_HASH: {
    ...input,
    meaning: 'The key is not the SHA-256 of the document.',
    action: 'Use sha256(value) in hex as the key.',
  },
  PERSISTED_QUERY_INVALID: { ...input, meaning: 'The document is not an executable GraphQL document.', action: 'Mend the syntax.' },
  PERSISTED_QUERY_LIMIT: {
    ...input,
    class: 'limit',
    meaning: 'As many documents are persisted as the registry keeps.',
    action: 'Remove unused ones, or persist fewer.',
  },
  REGISTRY_BUSY: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'Too many changes at once, here or in other registry processes.',
    action: 'Send the change again in a second; it was not made.',
  },
  WATCHERS_LIMIT: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'As many connections follow the releases as one registry serves.',
    action: 'Try again later or at another registry process.',
  },
  STORE_UNAVAILABLE: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: "The registry's database does not answer.",
    action: 'Try again shortly; see whether the database runs. The last good release is served meanwhile.',
  },
  STORE_VERSION: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: "The registry's tables were made by a newer Millrace, or cannot be brought up to date.",
    action: 'Start the version that wrote them, or name another database.',
  },
  RELEASE_INVALID: {
    class: 'upstream',
    http: 502,
    retryable: true,
    meaning: 'A stored or received release does not fit its digest or has an unknown format.',
    action: 'Fetch it again; if it lasts, push any schema again so that a new release is made.',
  },
  REGISTRY_DRAINING: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'This process of the registry is ending and lets nobody follow the releases any more.',
    action: 'Follow another process of the registry.',
  },
  REGISTRY_UNREACHABLE: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'A process of the registry cannot be reached, or fell silent.',
    action: 'Nothing is lost: the last good release is served. Look after the registry, or after `registry.urls`.',
  },
  REGISTRY_REFUSED: {
    class: 'upstream',
    http: 502,
    retryable: true,
    meaning: 'What is found at the address of the registry refuses to give the release, or is no registry.',
    action: 'Check `registry.urls`, and that `registry.token` has the permission registry:read.',
  },
  SUPERGRAPH_CONFIG_INVALID: {
    class: 'setup',
    http: 400,
    retryable: false,
    meaning: 'The supergraph.yaml cannot be read or has the wrong shape.',
    action: 'Mend the key that the message names.',
  },
  SUBGRAPH_SCHEMA_UNAVAILABLE: {
    class: 'upstream',
    http: 502,
    retryable: true,
    meaning: 'The schema of a subgraph could not be read from its file or fetched from its address.',
    action: 'Check the path or whether the subgraph runs and answers `{ _service { sdl } }`; it is tried again.',
  },
});
