import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { sseDistinctCodec, sseSingleCodec } from './sse-codec.ts';
import { startTestServer } from './testing/test-server.ts';

type Step = { readonly send: unknown } | { readonly receive: unknown } | { readonly close: number; readonly reason: string };
type Frame = { mode: string; id?: string; next?: string; cursor?: string | null; error?: string; complete?: true; text: string };

function vectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../../spec/vectors/protocol/${name}.json`, import.meta.url), 'utf8'));
}

describe('vectors: graphql-transport-ws', () => {
  const { conversations } = vectors('graphql-transport-ws') as { conversations: { name: string; steps: Step[] }[] };

  it.each(conversations.map(({ name, steps }) => [name, steps] as const))('%s', async (_name, steps) => {
    await using server = await startTestServer();
    const ws = new WebSocket(server.ws, 'graphql-transport-ws');
    const heard: unknown[] = [];
    const closed = once(ws, 'close') as Promise<[number, Buffer]>;
    let wake = (): void => undefined;
    ws.on('message', (data: Buffer) => {
      heard.push(JSON.parse(data.toString()));
      wake();
    });
    await once(ws, 'open');
    let read = 0;
    for (const step of steps) {
      if ('send' in step) ws.send(typeof step.send === 'string' ? step.send : JSON.stringify(step.send));
      else if ('receive' in step) {
        while (heard.length <= read) await new Promise<void>((resolve) => (wake = resolve));
        expect(heard[read++]).toEqual(step.receive);
      } else {
        const [code, reason] = await closed;
        expect([code, reason.toString().startsWith(step.reason)]).toEqual([step.close, true]);
      }
    }
    expect(heard).toHaveLength(read);
    ws.terminate();
  });
});

describe('vectors: graphql-sse', () => {
  const { frames } = vectors('graphql-sse') as { frames: Frame[] };

  it.each(frames.map((frame) => [frame.text, frame] as const))('%j', (text, frame) => {
    const codec = frame.mode === 'single' ? sseSingleCodec : sseDistinctCodec;
    const id = frame.id ?? '';
    const bytes =
      frame.next !== undefined
        ? codec.next(id, Buffer.from(frame.next), frame.cursor ?? null)
        : frame.error !== undefined
          ? codec.error(id, frame.error)
          : codec.complete(id);
    expect(bytes.toString()).toBe(text);
  });
});
