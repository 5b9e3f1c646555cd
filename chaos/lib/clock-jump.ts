/**
 * Loaded into a server before its program (`--import`): on SIGUSR2 its wall clock jumps to what the file named by CHAOS_CLOCK says, in ms
 * from the true time. The monotonic clock goes on, as it does when an operator or NTP sets a machine's clock.
 */
import { readFileSync } from 'node:fs';

const TrueDate = Date;
const trueNow = Date.now.bind(Date);
const file = process.env['CHAOS_CLOCK'];
if (file === undefined) throw new Error('CHAOS_CLOCK names the file with the offset of the clock in ms');
let offset = 0;

process.on('SIGUSR2', () => {
  offset = Number(readFileSync(file, 'utf8'));
});

const now = (): number => trueNow() + offset;
globalThis.Date = new Proxy(TrueDate, {
  construct: (target, args: ConstructorParameters<typeof Date> | []) => (args.length === 0 ? new target(now()) : new target(...args)),
  apply: () => new TrueDate(now()).toString(),
  get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
});
