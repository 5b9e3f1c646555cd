import type { Stats } from 'node:fs';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { accepts, sendText } from '../kit/http-message.ts';

/** GET requests of the GraphiQL page and its files. */
export interface GraphiqlPage {
  /** True: this request was for the page, and is being answered. */
  serve(req: IncomingMessage, res: ServerResponse): boolean;
}

const ASSETS = '/graphql/assets/';

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.ttf': 'font/ttf',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

/** Monaco sets styles on elements and starts its workers from scripts of this origin; everything else comes from here or not at all. */
const CSP = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self' ws: wss:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const SAFE = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };

/** `dist` is the folder that the build of packages/console makes; null or missing: the page says how to build it. */
export function createGraphiqlPage(folder: string | null): GraphiqlPage {
  // An empty path would mean the working directory, and serve whatever page lies there.
  const dist = folder || null;
  return {
    serve(req, res) {
      const path = (req.url ?? '/').split('?', 1)[0]!;
      if (path.startsWith(ASSETS)) {
        void serveAsset(dist, path.slice(ASSETS.length), req, res);
        return true;
      }
      if (!accepts(req.headers.accept, 'text/html')) return false;
      void servePage(dist, res);
      return true;
    },
  };
}

async function servePage(dist: string | null, res: ServerResponse): Promise<void> {
  const html = dist === null ? MISSING : await readFile(join(dist, 'index.html'), 'utf8').catch(() => MISSING);
  sendText(res, html === MISSING ? 503 : 200, TYPES['.html']!, html, {
    ...SAFE,
    'content-security-policy': CSP,
    'cache-control': 'no-cache',
    vary: 'Accept',
  });
}

/** Files have a hash of their content in the name, so they may be cached for ever. Flat names only: there is no path to climb. */
async function serveAsset(dist: string | null, name: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const file = dist !== null && /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name) ? join(dist, 'assets', name) : null;
  const type = TYPES[extname(name)];
  const info: Stats | null = file && type ? await stat(file).catch(() => null) : null;
  if (!file || !type || !info?.isFile()) return sendText(res, 404, 'text/plain; charset=utf-8', 'no such file\n', SAFE);
  res.writeHead(200, {
    ...SAFE,
    'content-type': type,
    'content-length': info.size,
    'cache-control': 'public, max-age=31536000, immutable',
  });
  if (req.method === 'HEAD') return void res.end();
  createReadStream(file)
    .on('error', () => res.destroy())
    .pipe(res);
}

const MISSING = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>GraphiQL is not built</title></head>
<body style="font-family: system-ui; max-width: 40rem; margin: 4rem auto; line-height: 1.5">
<h1>GraphiQL is not built yet</h1>
<p>In the folder of the repository run</p>
<pre>npm run build --workspace @millrace/console</pre>
<p>and load this page again. The GraphQL address itself works without it.</p>
</body></html>
`;
