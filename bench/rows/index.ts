import type { AnyRow } from '../lib/row.ts';
import { bursts, fanOut } from './fan-out.ts';

/** In the order in which they run. Rows of one stage stand together, so that it is opened once. */
export const rows: readonly AnyRow[] = [fanOut, bursts] as readonly unknown[] as readonly AnyRow[];
