import type { FrameCodec } from '../live/transport.ts';

/** How a distinct stream ends. A JSON text cannot hold these bytes, since its line ends are escaped. */
export const DISTINCT_COMPLETE: Buffer = Buffer.from('event: complete\ndata: {}\n\n');

const NEXT = 'event: next\n';

/** graphql-sse, distinct connections: the stream is the operation, so ids do not appear. */
export const sseDistinctCodec: FrameCodec = {
  kind: 'sse-distinct',
  next: (_operationId, payload, cursor) => nextFrame(cursor, 'data: ', payload, '\n\n'),
  error: (_operationId, errorsJson) =>
    Buffer.concat([nextFrame(null, 'data: {"errors":', Buffer.from(errorsJson), '}\n\n'), DISTINCT_COMPLETE]),
  complete: () => DISTINCT_COMPLETE,
};

/** graphql-sse, single connection: every message names its operation. */
export const sseSingleCodec: FrameCodec = {
  kind: 'sse-single',
  next: (operationId, payload, cursor) => nextFrame(cursor, `data: {"id":${JSON.stringify(operationId)},"payload":`, payload, '}\n\n'),
  error: (operationId, errorsJson) =>
    Buffer.concat([
      nextFrame(null, `data: {"id":${JSON.stringify(operationId)},"payload":{"errors":`, Buffer.from(errorsJson), '}}\n\n'),
      sseSingleCodec.complete(operationId),
    ]),
  complete: (operationId) => Buffer.from(`event: complete\ndata: {"id":${JSON.stringify(operationId)}}\n\n`),
};

function nextFrame(cursor: string | null, before: string, payload: Buffer, after: string): Buffer {
  const head = Buffer.from(cursor === null ? NEXT + before : `${NEXT}id: ${cursor}\n${before}`);
  return Buffer.concat([head, oneLine(payload), Buffer.from(after)]);
}

/** A line end inside the data would end the event early. In JSON it can only be white space between tokens. */
function oneLine(payload: Buffer): Buffer {
  if (!payload.includes(0x0a) && !payload.includes(0x0d)) return payload;
  const line = Buffer.from(payload);
  for (let at = 0; at < line.length; at++) if (line[at] === 0x0a || line[at] === 0x0d) line[at] = 0x20;
  return line;
}

export function endsDistinct(frame: Buffer): boolean {
  const from = frame.length - DISTINCT_COMPLETE.length;
  return from >= 0 && frame.compare(DISTINCT_COMPLETE, 0, DISTINCT_COMPLETE.length, from) === 0;
}
