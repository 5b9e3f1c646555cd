const ASK_AGAIN_MS = 50;
const PATIENCE_MS = 30_000;

/** Asks again until there is an answer; while servers change roles, errors are expected. */
export async function until<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  let last: unknown = null;
  while (performance.now() < deadline) {
    const answer = await ask().catch((error: unknown) => {
      last = error;
      return null;
    });
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  throw new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${what}`, { cause: last });
}
