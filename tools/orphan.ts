/**
 * Calls `gone` once when the process that started this one has ended without telling (kill -9 on npm or the terminal), so that a
 * program that holds ports never outlives the person who started it.
 */
export function whenOrphaned(gone: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    gone();
  }, 1000);
  timer.unref();
}
