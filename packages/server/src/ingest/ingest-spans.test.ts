import { expect, it } from 'vitest';
import { liveEvent } from '../channels/testing/events.ts';
import { channelsErrors } from '../channels/errors.ts';
import { MillraceError } from '../kit/errors.ts';
import { RecordingTracer } from '../kit/testing-tracer.ts';
import { publishSpans, traceMapped } from './ingest-spans.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNSAMPLED = PARENT.replace(/01$/, '00');

it('continues the trace of a record as its flag says, and begins one only where there is no context', () => {
  const tracer = new RecordingTracer(true);
  const events = [liveEvent('sampled', { traceparent: PARENT }), liveEvent('refused', { traceparent: UNSAMPLED }), liveEvent('without')];
  const traced = traceMapped(tracer, events);
  expect(tracer.spans.map(({ name, parent, failure }) => ({ name, parent, failure }))).toEqual([
    { name: 'ingest.map', parent: PARENT, failure: null },
    { name: 'ingest.map', parent: null, failure: null },
  ]);
  expect(traced.map(({ traceparent }) => traceparent)).toEqual([tracer.spans[0]?.traceparent, UNSAMPLED, tracer.spans[1]?.traceparent]);
  expect(traced.map(({ id }) => id)).toEqual(['sampled', 'refused', 'without']);
});

it('gives channels the publication as context, and says what became of it', () => {
  const tracer = new RecordingTracer();
  const spans = publishSpans(tracer, [liveEvent('plain'), liveEvent('traced', { traceparent: PARENT })]);
  expect(spans?.events.map(({ traceparent }) => traceparent)).toEqual([null, tracer.spans[0]?.traceparent]);
  spans?.published([{ kind: 'no-interest' }, { kind: 'duplicate' }]);
  expect(tracer.spans).toHaveLength(1);
  expect(tracer.spans[0]).toMatchObject({ name: 'channel.publish', parent: PARENT, failure: null });
  expect(tracer.spans[0]?.attributes.get('millrace.result')).toBe('duplicate');
});

it('ends the spans of a call that failed with its code', () => {
  const tracer = new RecordingTracer();
  publishSpans(tracer, [liveEvent('traced', { traceparent: PARENT })])?.failed(new MillraceError(channelsErrors.CHANNELS_AWAY, 'away'));
  expect(tracer.spans[0]?.failure).toBe('CHANNELS_AWAY');
});

it('makes nothing where no event is sampled', () => {
  expect(publishSpans(new RecordingTracer(true), [liveEvent('plain'), liveEvent('refused', { traceparent: UNSAMPLED })])).toBeNull();
});
