import type { BrokerHarness, BrokerHarnessOptions } from '../conformance.ts';
import type { EventSink } from '../event-sink.ts';
import type { EventSource } from '../event-source.ts';
import { Beside } from './beside.ts';

type Opened = {
  readonly sink: EventSink & { close(): Promise<void> };
  readonly source: EventSource;
  /** Makes what follows look like a crash to the broker: nothing more that we say reaches it. */
  cut(): void;
};

export type ForeignBroker = {
  readonly retriesSurvive: boolean;
  make(beside: Beside): Opened;
  /** Removes from the broker what the test made there. */
  clean(beside: Beside): Promise<void>;
};

/** What the conformance suite needs of a broker that is not ours: its sink and source, with dead letters and ledger in a folder beside it. */
export async function foreignHarness(
  { retriesSurvive, make, clean }: ForeignBroker,
  options: BrokerHarnessOptions,
): Promise<BrokerHarness> {
  const beside = new Beside(options.maxDeadLetters);
  const begin = async (): Promise<Opened> => {
    await beside.open();
    const made = make(beside);
    await made.source.open();
    return made;
  };
  const end = async (how: 'crash' | 'close'): Promise<void> => {
    await opened.sink.close();
    if (how === 'crash') opened.cut();
    await opened.source.close();
    await beside.close();
  };
  let opened = await begin();
  return {
    retriesSurvive,
    get sink() {
      return opened.sink;
    },
    get source() {
      return opened.source;
    },
    get deadLetters() {
      return beside.log.deadLetters;
    },
    get redriven() {
      return beside.redriven;
    },
    now: () => beside.clock.now(),
    elapse: async (ms) => beside.clock.advance(ms),
    async restart(how) {
      await end(how);
      opened = await begin();
    },
    async dispose() {
      await end('close');
      await clean(beside);
      await beside.dispose();
    },
  };
}
