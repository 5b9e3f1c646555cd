/**
 * The last `size` keys at least, twice that at most, with a value each: two generations, the older dropped whole. A Map with removal
 * of its oldest key would be exact but slow: finding the first key walks over those removed before.
 */
export class Recent<V> {
  readonly #size: number;
  #young = new Map<string, V>();
  #old: Map<string, V> | null = null;

  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    return young !== undefined || this.#old === null ? young : this.#old.get(key);
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size <= this.#size) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Takes a key back, or restores the value it had before. */
  undo(key: string, before: V | undefined): void {
    this.#old?.delete(key);
    if (before === undefined) this.#young.delete(key);
    else this.#young.set(key, before);
  }
}
