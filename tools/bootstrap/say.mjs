// Progress goes to standard error: one line that is rewritten on a terminal, a few plain lines elsewhere.
const terminal = process.stderr.isTTY;

/** @param {string} message */
export function stop(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

/**
 * Shows `what` with the seconds that it has taken, until `done` is called.
 * @param {string} what
 * @param {() => string} [detail]
 */
export function working(what, detail = () => '') {
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  if (!terminal) process.stderr.write(`${what} ...\n`);
  const timer = setInterval(
    () => process.stderr.write(terminal ? `\r\u001B[K${what} ${detail()} ${seconds()}` : `  ${detail()} ${seconds()}\n`),
    terminal ? 200 : 15_000,
  );
  return {
    /** @param {string} result */
    done(result) {
      clearInterval(timer);
      process.stderr.write(`${terminal ? '\r\u001B[K' : ''}${what}: ${result} (${seconds()})\n`);
    },
    /** Ends the line without a result; whoever calls this says what happened. */
    failed() {
      clearInterval(timer);
      if (terminal) process.stderr.write('\r\u001B[K');
    },
  };
}
