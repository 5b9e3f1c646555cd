import { once } from 'node:events';
import { type IncomingHttpHeaders, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Inbox } from '../harness.ts';

export type ReceivedSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
};

type Export = { readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[] }[] };

/** A collector as far as OTLP over HTTP with JSON goes. `silent`: it takes requests and never answers. */
export async function startCollector(silent = false) {
  const spans = new Inbox<ReceivedSpan>();
  const requests: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = [];
  const asked = new Inbox<string>();
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    req.on('end', () => {
      requests.push({ headers: req.headers, body });
      asked.push(req.url ?? '');
      if (silent) return;
      for (const { scopeSpans } of (JSON.parse(body) as Export).resourceSpans)
        for (const scope of scopeSpans) for (const span of scope.spans) spans.push(span);
      res.setHeader('content-type', 'application/json').end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    asked,
    requests,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
