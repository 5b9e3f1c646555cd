import { defineErrors } from '../kit/errors.ts';

export const accessErrors = defineErrors({
  UNAUTHENTICATED: {
    class: 'auth',
    http: 401,
    retryable: false,
    meaning: 'Nobody is signed in, and this is not open to anonymous callers.',
    action: 'Send a bearer token (in dev: `millrace token`).',
  },
  TOKEN_INVALID: {
    class: 'auth',
    http: 401,
    retryable: false,
    meaning: 'The token is malformed, not signed by a known key, not meant for this audience, not yet valid, or its claims do not fit.',
    action: 'Get a new token from the issuer; the message names the check that failed.',
  },
  TOKEN_EXPIRED: {
    class: 'auth',
    http: 401,
    retryable: false,
    meaning: 'The token was valid and has expired.',
    action: 'Get a new token from the issuer.',
  },
  ISSUER_NOT_ALLOWED: {
    class: 'auth',
    http: 401,
    retryable: false,
    meaning: 'The issuer of the token is not one of those that the configuration names.',
    action: 'Use a token of a configured issuer, or add the issuer to access.issuers. Dev tokens work in dev mode only.',
  },
  TENANT_MISSING: {
    class: 'auth',
    http: 403,
    retryable: false,
    meaning: 'The token verifies but holds no usable tenant at the configured claim.',
    action: 'Let the issuer add the tenant as a non-empty string, or set claims.tenant to where it stands.',
  },
  FORBIDDEN: {
    class: 'auth',
    http: 403,
    retryable: false,
    meaning: 'The identity is known but lacks the scope for this.',
    action: 'Use a token with the scope that the message names.',
  },
  KEYS_UNAVAILABLE: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The keys of the issuer could not be fetched, and none that fits the token is known.',
    action: 'Try again shortly; check that the key address (JWKS) of the issuer answers.',
  },
  ACCESS_MISCONFIGURED: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'The configuration of access contradicts itself or would be unsafe.',
    action: 'Correct the key that the message names.',
  },
});
