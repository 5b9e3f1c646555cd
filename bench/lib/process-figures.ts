import { readFileSync } from 'node:fs';

/** The unit of the times in /proc; fixed by the kernel's interface to user space. */
const TICK_US = 10_000;

/** User and system time that a process and its threads have used so far, in microseconds, in steps of 10 ms. Linux only. */
export function cpuMicros(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name may hold anything but ends at the last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** Resident memory in bytes. Linux only. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}

/** Monotonic microseconds, the same for all processes of the machine. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
