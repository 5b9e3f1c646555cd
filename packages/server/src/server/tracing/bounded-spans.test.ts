import { ROOT_CONTEXT } from '@opentelemetry/api';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { type ReadableSpan, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import { expect, it } from 'vitest';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { BoundedSpans } from './bounded-spans.ts';
import { createTracingMetrics } from './metrics.ts';

type Sent = { readonly spans: readonly ReadableSpan[]; readonly done: (result: ExportResult) => void };

function setUp() {
  const sent: Sent[] = [];
  const exporter: SpanExporter = { export: (spans, done) => void sent.push({ spans, done }), shutdown: () => Promise.resolve() };
  const metrics = new Metrics();
  const options = { queue: 4, batch: 2, delayMs: 60_000, exportMs: 60_000 };
  const provider = new TracerProvider({
    spanProcessors: [new BoundedSpans(exporter, createTracingMetrics(metrics), silentLogger, options)],
  });
  const record = (count: number): void => {
    for (let made = 0; made < count; made += 1) provider.getTracer('test').startSpan('ingest.map', {}, ROOT_CONTEXT).end();
  };
  return { sent, record, text: () => metrics.text() };
}

it('drops and counts what comes beyond the bound, spans on their way to the collector included', async () => {
  const { sent, record, text } = setUp();
  record(10);
  // The first batch is out and unanswered: two of four.
  expect(sent.map(({ spans }) => spans.length)).toEqual([2]);
  expect(await text()).toContain('millrace_tracing_dropped_spans_total 6\n');
  expect(await text()).toContain('millrace_tracing_queued_spans 4\n');
});

it('takes spans again when the collector has answered, and counts what it took and what not', async () => {
  const { sent, record, text } = setUp();
  record(4);
  sent[0]?.done({ code: ExportResultCode.SUCCESS });
  expect(await text()).toContain('millrace_tracing_exported_spans_total 2\n');
  record(2);
  expect(await text()).toContain('millrace_tracing_dropped_spans_total 0\n');
  record(1);
  expect(await text()).toContain('millrace_tracing_dropped_spans_total 1\n');
  await new Promise(setImmediate);
  sent[1]?.done({ code: ExportResultCode.FAILED });
  expect(await text()).toContain('millrace_tracing_failed_spans_total 2\n');
});
