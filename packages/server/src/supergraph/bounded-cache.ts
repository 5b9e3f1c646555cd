/** Least recently used entries leave when there are more than `max`, or when together they weigh more than `maxWeight`. */
export class BoundedCache<K, V> {
  readonly #entries = new Map<K, { readonly value: V; weight: number }>();
  readonly #max: number;
  readonly #maxWeight: number;
  #weight = 0;

  constructor(max: number, maxWeight = Number.POSITIVE_INFINITY) {
    this.#max = max;
    this.#maxWeight = maxWeight;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    this.#trim();
  }

  /** What an entry weighs may be known later than the entry itself. */
  reweigh(key: K, weight: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#weight += weight - entry.weight;
    entry.weight = weight;
    this.#trim();
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }

  #trim(): void {
    while (this.#entries.size > this.#max || this.#weight > this.#maxWeight) {
      const oldest = this.#entries.keys().next();
      if (oldest.done) return;
      this.delete(oldest.value);
    }
  }
}
