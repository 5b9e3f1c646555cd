import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type Certificate = {
  /** PEM files. The certificate is its own authority: clients take it as `ca`. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
};

/** A self-signed certificate for localhost and 127.0.0.1, good for two days. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await promisify(execFile)('openssl', ['req', '-x509', '-days', '2', ...key, ...subject, '-keyout', keyFile, '-out', certFile]);
  // The folder is ours alone; the server may run as another user.
  await chmod(keyFile, 0o644);
  return { certFile, keyFile, ca: readFileSync(certFile, 'utf8') };
}
