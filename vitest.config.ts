import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** These take a minute and more: begun last, one of them would run alone in the end. */
const LONG = [
  'comparison/pipeline.test.ts',
  'comparison/scopes.test.ts',
  'faults/faults.test.ts',
  'import/online-retail.test.ts',
  'log/kafka.test.ts',
  'api/audience-count.test.ts',
  'cluster/pipeline.test.ts',
];

class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.some((name) => moduleId.endsWith(name));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  // The copy that Node itself loads: Vite would take the package's other one for our files, and types would not match.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    sequence: { sequencer: LongOnesFirst },
    pool: 'forks',
    // The engines want processors too.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
