import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The least that keeps a posted event: `node:http`, and one durable transaction a request. */
const folder = mkdtempSync(join(tmpdir(), 'bench-sqlite-'));
const db = new DatabaseSync(join(folder, 'log.sqlite'));
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log (position INTEGER PRIMARY KEY, value TEXT NOT NULL)');
const insert = db.prepare('INSERT INTO log (value) VALUES (?)');

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => void chunks.push(chunk));
  req.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as unknown;
    db.exec('BEGIN');
    for (const event of Array.isArray(body) ? (body as unknown[]) : [body]) insert.run(JSON.stringify(event));
    db.exec('COMMIT');
    res.writeHead(202, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ ready: true, events: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events` })}\n`);
});
process.on('SIGTERM', () => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
