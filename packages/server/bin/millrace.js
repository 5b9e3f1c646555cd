#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that an old one says what is wrong instead of failing on syntax.
import { existsSync } from 'node:fs';

const NEEDED = 24;

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(`error: Millrace needs Node ${NEEDED} or newer, this is ${process.versions.node} (NODE_TOO_OLD)\n`);
  process.exit(6);
}
// The published package has only `dist`; the repository runs from source.
const source = new URL('../src/cli/main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href);
