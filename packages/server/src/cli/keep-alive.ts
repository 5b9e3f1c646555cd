/** Keeps the process from ending for want of work, until it is released. */
export function keepAlive(): { release(): void } {
  const { port1 } = new MessageChannel();
  port1.ref();
  return { release: () => port1.close() };
}
