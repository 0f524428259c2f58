// A vitest reporter that writes the counts of a run to the file named by COUNTS_FILE.
import { writeFileSync } from 'node:fs';

export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors, reason) {
    const counts = {
      passed: 0,
      failed: unhandledErrors.length,
      skipped: 0,
      finished: reason !== 'interrupted',
    };
    for (const module of modules) {
      // What fails outside a test (an import, a hook) has no test to count.
      for (const suite of [module, ...module.children.allSuites()]) counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1;
      }
    }
    writeFileSync(process.env.COUNTS_FILE, JSON.stringify(counts));
  }
}
