import { readGraphqlAnswer } from './graphql-answer.ts';
import type { Upstream, UpstreamSettings } from './upstream.ts';

/** One subscription over graphql-sse's distinct connections mode: events `next` and `complete`. */
export function openSseUpstream(settings: UpstreamSettings): Upstream {
  const control = new AbortController();
  void read(settings, control.signal);
  return {
    close() {
      settings.queue.end();
      control.abort();
    },
  };
}

async function read(settings: UpstreamSettings, signal: AbortSignal): Promise<void> {
  const { url, request, queue, connectMs } = settings;
  try {
    // Loaded with the first stream: 15 MB that most graphs do not need.
    const undici = await import('undici');
    const response = await undici.request(url, {
      method: 'POST',
      headers: { ...request.headers, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: `${request.operation.bodyPrefix}${request.variables}}`,
      headersTimeout: connectMs,
      bodyTimeout: 0,
      signal,
    });
    const type = response.headers['content-type'];
    if (response.statusCode !== 200 || !String(type).includes('text/event-stream')) {
      queue.lost(`was answered with status ${response.statusCode} and no event stream`);
      response.body.destroy();
      return;
    }
    const parser = new SseParser(settings.messageBytesMax);
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      const events = parser.add(decoder.decode(chunk as Uint8Array, { stream: true }));
      if (!events || !events.every((event) => receive(event, settings))) {
        queue.lost('sent something that is no GraphQL result');
        return;
      }
    }
    queue.lost('ended without saying that it is complete');
  } catch {
    queue.lost('broke');
  }
}

function receive(event: SseEvent, settings: UpstreamSettings): boolean {
  if (event.type === 'complete') {
    settings.queue.end();
    return true;
  }
  if (event.type !== 'next') return true;
  try {
    const answer = readGraphqlAnswer(JSON.parse(event.data));
    if (answer) settings.queue.push(answer);
    return answer !== null;
  } catch {
    return false;
  }
}

export type SseEvent = { readonly type: string; readonly data: string };

/** The event stream format of the HTML standard, section 9.2.6, as far as graphql-sse uses it. */
export class SseParser {
  readonly #max: number;
  #rest = '';

  constructor(max: number) {
    this.#max = max;
  }

  /** Null: an event is longer than allowed. */
  add(text: string): SseEvent[] | null {
    // A chunk may end between CR and LF: the pair is put together before line ends are made uniform.
    this.#rest = (this.#rest + text).replaceAll('\r\n', '\n');
    const events: SseEvent[] = [];
    for (let end = this.#rest.indexOf('\n\n'); end >= 0; end = this.#rest.indexOf('\n\n')) {
      const event = parseEvent(this.#rest.slice(0, end));
      if (event) events.push(event);
      this.#rest = this.#rest.slice(end + 2);
    }
    return this.#rest.length > this.#max ? null : events;
  }
}

function parseEvent(block: string): SseEvent | null {
  let type = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') type = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 && type === 'message' ? null : { type, data: data.join('\n') };
}
