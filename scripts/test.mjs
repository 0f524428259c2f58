// npm test: sees to what is missing, checks the sources, runs the tests.
//   npm test -- test/runtime -t "name"     arguments go to vitest, and the checks are left out
// The last line is "N passed, N failed", with ", N skipped" when some were.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { replaceWith, setUp } from './lib/setup.mjs';

setUp({ needsMariaDb: true });
const args = process.argv.slice(2);

let checksFailed = false;
if (args.length === 0) {
  const { status } = spawnSync('npm', ['run', '--silent', 'check'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  checksFailed = status !== 0;
}

const folder = mkdtempSync(path.join(tmpdir(), 'tidemark-counts-'));
process.env.COUNTS_FILE = path.join(folder, 'counts.json');
const reporters = ['--reporter=default', '--reporter=./scripts/lib/count-reporter.mjs'];
const vitest = ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args];
const status = await replaceWith(process.execPath, vitest, constants.signals);

const counts = readCounts();
rmSync(folder, { recursive: true, force: true });
// The checks count as one: a red line must not end in "0 failed".
const passed = counts.passed + (args.length === 0 && !checksFailed ? 1 : 0);
const failed = counts.failed + (checksFailed ? 1 : 0) + (status !== 0 && counts.failed === 0 ? 1 : 0);
if (checksFailed) console.log('\nThe checks failed: npm run check');
if (counts.passed + counts.failed === 0) console.log('\nNo test ran.');
process.exitCode = failed > 0 || counts.passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);

function readCounts() {
  try {
    return JSON.parse(readFileSync(process.env.COUNTS_FILE, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }; // It ended before it had results; its exit code says so.
  }
}
