export { type BackOff, DEFAULT_BACK_OFF } from './back-off.ts';
export { type Reconnect, reconnectAfter } from './close-codes.ts';
export type { ClientState, SocketConstructor, SocketLike, TokenSource } from './connection.ts';
export { applyDelta } from './delta.ts';
export { LiveError, type LiveErrorCode } from './errors.ts';
export type { IterateOptions, LiveItem } from './iterator.ts';
export { CLIENT_DEFAULTS, createLiveClient, type LiveClient, type LiveClientOptions } from './live-client.ts';
export type { GraphqlError } from './protocol.ts';
export type { Gap, LiveEvent, SubscribeOptions, Subscription, SubscriptionState } from './subscription.ts';
