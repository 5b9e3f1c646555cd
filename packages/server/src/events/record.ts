/** Bytes as a broker or an HTTP body brought them, before anybody looked inside. */
export type RawRecord = {
  readonly topic: string;
  /** Orders records of one entity on brokers that have keys; null where the producer gave none. */
  readonly key: string | null;
  /** Names in lower case. CloudEvents binary mode: `ce-id`, `ce-type`, … and `content-type`. */
  readonly headers: ReadonlyMap<string, string>;
  /** Null is a tombstone (Kafka, Debezium). */
  readonly value: Uint8Array | null;
  /** Ms since the epoch, from the broker or the moment of receipt. */
  readonly timestamp: number;
};
