import { readFileSync } from 'node:fs';
import { type Certificate, makeCertificate } from './certificate.ts';
import { NginxService } from './nginx.ts';

export type Upstreams = { readonly edges: readonly number[]; readonly gateways: readonly number[]; readonly ingest: readonly number[] };

const FILE = new URL('../../deploy/nginx/millrace.conf', import.meta.url);

/** nginx with `deploy/nginx/millrace.conf` before processes on these ports of 127.0.0.1, with a certificate of its own. */
export async function startMillraceProxy(upstreams: Upstreams, main = ''): Promise<{ readonly nginx: NginxService; readonly ca: string }> {
  const certificate = Promise.withResolvers<Certificate>();
  const nginx = await NginxService.start({
    main,
    http: async (port, folder) => {
      const made = await makeCertificate(folder);
      certificate.resolve(made);
      return configuration(upstreams, port, made);
    },
  });
  return { nginx, ca: (await certificate.promise).ca };
}

/** The file as it is deployed; only addresses, names and paths are others. */
function configuration({ edges, gateways, ingest }: Upstreams, port: number, { certFile, keyFile }: Certificate): string {
  let text = readFileSync(FILE, 'utf8');
  for (const [name, ports] of Object.entries({ edges, gateways, ingest })) {
    const block = new RegExp(`(upstream millrace_${name} \\{\\n)(?: *server \\S+([^\\n]*\\n))+`);
    text = replaced(text, block, `$1${ports.map((each) => `  server 127.0.0.1:${each}$2`).join('')}`);
  }
  text = replaced(text, /listen 443 ssl http2;/, `listen 127.0.0.1:${port} ssl http2;`);
  text = replaced(text, /server_name api\.example\.com;/, 'server_name localhost;');
  text = replaced(text, /\/etc\/ssl\/millrace\/fullchain\.pem/, certFile);
  return replaced(text, /\/etc\/ssl\/millrace\/privkey\.pem/, keyFile);
}

function replaced(text: string, what: RegExp, by: string): string {
  if (!what.test(text)) throw new Error(`deploy/nginx/millrace.conf has no ${what.source}`);
  return text.replace(what, by);
}
