/** What one worker process of `serve --processes` is doing. */
export type WorkerState =
  | 'starting'
  | 'ready'
  /** It died; another is started when its pause is over. */
  | 'pausing'
  /** It was told to end. */
  | 'ending'
  | 'ended';

export type WorkerEvent =
  /** It said that it is ready. */
  | 'ready'
  /** Its process is gone. */
  | 'exit'
  /** Its pause is over. */
  | 'due'
  /** All are to end. */
  | 'stop';

export type Step = {
  readonly to: WorkerState;
  /** `pause`: begin a pause. `start`: start a process. `signal`: tell the process to end. */
  readonly act: 'none' | 'pause' | 'start' | 'signal';
};

const stay = (to: WorkerState): Step => ({ to, act: 'none' });

/** Exhaustive. A process lives in exactly `starting`, `ready` and `ending`; after `stop` none is ever started. */
export const WORKER_TABLE: Readonly<Record<WorkerState, Readonly<Record<WorkerEvent, Step>>>> = {
  starting: { ready: stay('ready'), exit: { to: 'pausing', act: 'pause' }, due: stay('starting'), stop: { to: 'ending', act: 'signal' } },
  ready: { ready: stay('ready'), exit: { to: 'pausing', act: 'pause' }, due: stay('ready'), stop: { to: 'ending', act: 'signal' } },
  pausing: { ready: stay('pausing'), exit: stay('pausing'), due: { to: 'starting', act: 'start' }, stop: stay('ended') },
  ending: { ready: stay('ending'), exit: stay('ended'), due: stay('ending'), stop: stay('ending') },
  ended: { ready: stay('ended'), exit: stay('ended'), due: stay('ended'), stop: stay('ended') },
};
