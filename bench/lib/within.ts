/** Rejects, naming the step, where it takes longer than `ms` milliseconds. What the step does goes on; its result is dropped. */
export async function within<T>(ms: number, what: string, step: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${ms / 1_000} s`)), ms);
  try {
    return await Promise.race([step, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
