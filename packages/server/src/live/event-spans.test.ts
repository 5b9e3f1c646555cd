import { expect, it } from 'vitest';
import { noTracer } from '../kit/tracer.ts';
import { RecordingTracer } from '../kit/testing-tracer.ts';
import { EventSpans, GROUP_SPANS } from './event-spans.ts';
import { Moment } from './payload.ts';
import { liveEvent, testCursors } from './testing.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const signer = testCursors.signer({ tenant: 'acme', type: 'Deal' }, 'e');
const momentOf = (traceparent: string | null): Moment => new Moment(liveEvent({ traceparent }), { epoch: 'e', offset: 1 }, signer);

it('bounds the spans of one event, and does not let it use up those of another', () => {
  const tracer = new RecordingTracer();
  const spans = new EventSpans(tracer);
  const [wide, other] = [momentOf(PARENT), momentOf(PARENT)];
  expect(spans.start('live.match', wide)).not.toBeNull();
  for (let group = 0; group < 10_000; group += 1) spans.start('live.deliver', wide);
  expect(tracer.spans).toHaveLength(1 + GROUP_SPANS);
  expect(spans.start('live.match', other)).not.toBeNull();
});

it('records nothing of an event that is not sampled, nor where tracing is off', () => {
  const tracer = new RecordingTracer(true);
  expect(new EventSpans(tracer).start('live.match', momentOf(null))).toBeNull();
  expect(new EventSpans(tracer).start('live.match', momentOf(PARENT.replace(/01$/, '00')))).toBeNull();
  expect(new EventSpans(noTracer).start('live.match', momentOf(PARENT))).toBeNull();
  expect(tracer.spans).toEqual([]);
});
