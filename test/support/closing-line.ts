import type { Reporter, TestCase, TestModule } from 'vitest/node';

/**
 * Ends the run with one plain line that any script can read: "N passed, N failed, N skipped". Before it,
 * a line for each test that passed only when it was tried again.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const flaky: TestCase[] = [];
    for (const module of modules) {
      // A file that could not even be loaded holds no test, but it failed.
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        counts[test.result().state]++;
        if (test.diagnostic()?.flaky === true) flaky.push(test);
      }
    }
    const lines = flaky.map(
      ({ module, fullName }) =>
        `flaky, passed when tried again: ${module.relativeModuleId} > ${fullName}`,
    );
    const { passed, failed, skipped, pending } = counts;
    lines.push(`${passed} passed, ${failed} failed, ${skipped + pending} skipped`);
    process.stdout.write(`\n${lines.join('\n')}\n`);
  }
}
