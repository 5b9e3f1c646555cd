/**
 * The groups under one key of an index. Most keys have one or few: an array; many: a Set, so that leaving does not search.
 * A million keys with a Set each would cost 200 MB.
 */
export type Bucket<T> = T[] | Set<T>;

const LARGE = 24;

export function addToBucket<K, T>(map: Map<K, Bucket<T>>, key: K, item: T): void {
  const bucket = map.get(key);
  if (bucket === undefined) map.set(key, [item]);
  else if (bucket instanceof Set) bucket.add(item);
  else if (bucket.length < LARGE) bucket.push(item);
  else map.set(key, new Set(bucket).add(item));
}

/** Removes one occurrence; an emptied key goes with it. */
export function removeFromBucket<K, T>(map: Map<K, Bucket<T>>, key: K, item: T): void {
  const bucket = map.get(key);
  if (bucket === undefined) return;
  if (bucket instanceof Set) {
    bucket.delete(item);
    if (bucket.size === 0) map.delete(key);
    return;
  }
  const at = bucket.indexOf(item);
  if (at < 0) return;
  const last = bucket.pop();
  if (last !== undefined && at < bucket.length) bucket[at] = last;
  if (bucket.length === 0) map.delete(key);
}

export function bucketSize<T>(bucket: Bucket<T> | undefined): number {
  return bucket === undefined ? 0 : bucket instanceof Set ? bucket.size : bucket.length;
}
