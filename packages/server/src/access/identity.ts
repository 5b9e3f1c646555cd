/** Who is asking, from verified claims only. Nothing in it is ever taken from a body, a query or an unverified token. */
export type Identity =
  /** Not signed in. `tenant` is set only where the configuration names one for anonymous sessions. */
  | { readonly kind: 'anonymous'; readonly tenant: string | null }
  | {
      readonly kind: 'user';
      readonly tenant: string;
      readonly user: string;
      readonly roles: readonly string[];
      readonly groups: readonly string[];
      readonly scopes: readonly string[];
      /** Ms since the epoch; null where the token does not expire. */
      readonly expiresAt: number | null;
      readonly issuer: string;
      /** `jti`, for revocation. */
      readonly tokenId: string | null;
      /** The bearer token itself, forwarded to subgraphs where enrichment runs as the user. Never logged. */
      readonly token: string;
    };

/** PORT. Verifies what a connection or request brought. */
export interface Authenticator {
  /**
   * `authorization` is the header's (or connection_init's) value, `Bearer …`; undefined where none was sent.
   * Rejects with UNAUTHENTICATED, TOKEN_EXPIRED, TOKEN_INVALID, ISSUER_NOT_ALLOWED, TENANT_MISSING; resolves to the anonymous identity
   * where nothing was sent and the configuration allows that.
   */
  authenticate(authorization: string | undefined): Promise<Identity>;
}
