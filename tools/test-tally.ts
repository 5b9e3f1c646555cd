import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Counts what became of every test. A file that cannot be loaded, and an error that nobody handled, count as failed. */
export class TallyReporter implements Reporter {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly skippedNames: string[] = [];

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.failed += unhandledErrors.length;
    for (const module of modules) this.#countModule(module);
  }

  line(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`;
  }

  #countModule(module: TestModule): void {
    let failedTests = 0;
    for (const test of module.children.allTests()) if (this.#countTest(test, module) === 'failed') failedTests += 1;
    // Failed as a whole (it could not be imported, or a hook threw) without any test saying so.
    if (module.state() === 'failed' && failedTests === 0) this.failed += 1;
  }

  #countTest(test: TestCase, module: TestModule): string {
    const { state } = test.result();
    if (state === 'passed') this.passed += 1;
    else if (state === 'failed') this.failed += 1;
    else {
      this.skipped += 1;
      this.skippedNames.push(`${module.relativeModuleId} > ${test.fullName}`);
    }
    return state;
  }
}
