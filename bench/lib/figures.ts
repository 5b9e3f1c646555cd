import type { FigureSpec } from './row.ts';

/** What figures of several rows are called. MB and KB are powers of 1,024 everywhere. */
const more = (label: string, unit: string): FigureSpec => ({ label, unit, better: 'more' });
const less = (label: string, unit: string): FigureSpec => ({ label, unit, better: 'less' });
const told = (label: string, unit: string): FigureSpec => ({ label, unit, better: null });

export const figure = { more, less, told } as const;

export const RATE = more('deliveries', '/s');
export const CPU = less('server CPU', 'µs/delivery');
export const RSS = told('RSS', 'MB');

/** Of every row whose subjects deliver messages to sockets. */
export const DELIVERY_FIGURES = {
  rate: RATE,
  cpu: CPU,
  rss: RSS,
  bytes: told('message', 'B'),
  busy: told('server', '% of a core'),
  generator: told('generator CPU', 'µs/delivery'),
  generatorBusy: told('generator', '% of a core'),
} as const satisfies Record<string, FigureSpec>;

export const megabytes = (bytes: number): number => bytes / 2 ** 20;
export const kilobytes = (bytes: number): number => bytes / 1024;
