/** The body of an answer to `fetch` as text. Rejects as soon as there are more than `maxBytes`, and then the rest is not read. */
export async function boundedText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Why `fetch` rejected, in a word for a log or a message. It says only "fetch failed" itself; what failed is in the cause. */
export function fetchReason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown';
  const cause = thrown.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? thrown.message;
}
