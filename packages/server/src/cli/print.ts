import type { Io } from './command.ts';

export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value)}\n`);
}

export function printLine(io: Io, line: string): void {
  io.stdout.write(`${line}\n`);
}

/** A table with a header; columns are as wide as their longest cell. */
export function printTable(io: Io, header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((name, index) => Math.max(name.length, ...rows.map((row) => row[index]!.length)));
  for (const row of [header, ...rows])
    printLine(
      io,
      row
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join('  ')
        .trimEnd(),
    );
}

/** Progress on standard error: one line that is rewritten on a terminal, nothing elsewhere until `done`. */
export function progress(io: Io): { show(text: string): void; done(): void } {
  const terminal = io.stderr.isTTY === true;
  return {
    show: (text) => void (terminal && io.stderr.write(`\r\u001B[K${text}`)),
    done: () => void (terminal && io.stderr.write('\r\u001B[K')),
  };
}

export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}

/** The value as a cell: never `[object Object]`, never a control character from a foreign payload on somebody's terminal. */
export function cell(value: unknown): string {
  const text = value === null || value === undefined ? '-' : typeof value === 'string' ? value : (JSON.stringify(value) ?? '-');
  return text.replace(/[\u0000-\u001F\u007F-\u009F]/g, ' ');
}
