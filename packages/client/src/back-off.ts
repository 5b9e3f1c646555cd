export type BackOff = {
  /** Ms before the second attempt; doubles with each. Default 400. */
  readonly firstMs: number;
  /** Default 20,000. */
  readonly mostMs: number;
};

export const DEFAULT_BACK_OFF: BackOff = { firstMs: 400, mostMs: 20_000 };

/** Ms to wait before attempt `attempt` (0 is the first): exponential, half of it random, so that many clients do not come as one. */
export function backOffMs(attempt: number, backOff: BackOff, random: () => number): number {
  const limit = Math.min(backOff.mostMs, backOff.firstMs * 2 ** Math.min(attempt, 20));
  return limit / 2 + (random() * limit) / 2;
}
