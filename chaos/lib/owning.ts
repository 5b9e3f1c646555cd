/** `parts` with everything that was opened for them, which ends when they are disposed of. */
export function owning<T extends object>(opening: AsyncDisposableStack, parts: T): T & AsyncDisposable {
  const closing = opening.move();
  return { ...parts, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}
