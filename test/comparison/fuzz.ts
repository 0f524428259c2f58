/**
 * Random comparisons for as long as one likes, on engines of their own:
 *   npm run fuzz -- --seconds 600               both parts, one seed after the other, from a random one on
 *   npm run fuzz -- --part pipeline --seed 7 --cases 1      one seed again
 *   TEST_SHARDS=2 npm run fuzz                  on a cluster of two servers
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse } from '../../src/service.ts';
import { startCluster } from '../support/cluster.ts';
import type { EngineUrls } from '../support/engines.ts';
import { describeCoverage, type Coverage } from './coverage.ts';
import { accountSeeds, runScript, runTogether, type ScriptResult } from './pipeline.ts';
import { compareScopes } from './scopes.ts';
import { openWorld, START } from './world.ts';

const SCOPES_OPTIONS = { profiles: 24, conditions: 60, instants: 4 };
const SCRIPT_STEPS = 40;
const TOGETHER_ROUNDS = 20;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    cases: { type: 'string' },
    part: { type: 'string' },
    steps: { type: 'string', default: String(SCRIPT_STEPS) },
  },
});
const part = values.part ?? 'both';
if (!['scopes', 'pipeline', 'together', 'both'].includes(part)) {
  throw new Error('--part is scopes, pipeline or together');
}
const first = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const most = Number(values.cases ?? Infinity);
const deadline = performance.now() + (values.cases ? Infinity : Number(values.seconds) * 1_000);

const dataDir = mkdtempSync(path.join(tmpdir(), 'tidemark-fuzz-'));
const shards = Number(process.env['TEST_SHARDS'] ?? 0);
const options = { dataDir, logger: createLogger('error') };
const [clickhouseEngine, mariadb] = await Promise.all([
  shards > 0
    ? startCluster(shards)
    : startEmbeddedClickHouse(options).then((engine) => ({ ...engine, name: null })),
  startEmbeddedMariaDb(options),
]);
try {
  const { url, name } = clickhouseEngine;
  process.exitCode = await fuzz({ mysql: mariadb.url, clickhouse: url, cluster: name });
} finally {
  await Promise.all([clickhouseEngine.stop(), mariadb.stop()]);
  rmSync(dataDir, { recursive: true, force: true });
}
process.exit();

async function fuzz(urls: EngineUrls): Promise<number> {
  const coverage: Coverage = new Map();
  const clickhouse = await openClickHouse(urls.clickhouse, urls.cluster);
  let [failed, cases, changes] = [0, 0, 0];
  let world = part === 'scopes' ? null : await openWorld(urls, START);
  const attempt = async (name: string, seed: number, run: () => Promise<string>) => {
    const begun = performance.now();
    try {
      const result = await run();
      console.log(`${name} seed ${seed}: ${result} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
      return true;
    } catch (error) {
      failed += 1;
      console.error(`FAILED ${name}: ${error instanceof Error ? error.message : String(error)}\n`);
      return false;
    }
  };
  for (let i = 0; i < most && performance.now() < deadline; i++) {
    const seed = first + i;
    if (part === 'scopes' || part === 'both') {
      // Accounts far from those of the scripts.
      await attempt('scopes', seed, async () => {
        const result = await compareScopes(clickhouse, 1_000_000 + i * 2, seed, SCOPES_OPTIONS, coverage);
        cases += result.cases;
        return `${result.cases} cases, ${result.trueCases} true`;
      });
    }
    if (world) {
      const open = world;
      const tell = (result: ScriptResult) => {
        cases += result.cases;
        changes += result.changes;
        return `${result.steps} steps, ${result.cases} cases, ${result.changes} changes, ${result.timeChanges} by time`;
      };
      const ok =
        part === 'together'
          ? await attempt('together', seed, async () => {
              const results = await runTogether(open, accountSeeds(seed), TOGETHER_ROUNDS, coverage);
              return results.map(tell).join('; ');
            })
          : await attempt('pipeline', seed, async () =>
              tell(await runScript(open, seed, Number(values.steps), coverage)),
            );
      // What went wrong may go on going wrong: the next seed gets fresh workers.
      if (!ok) {
        const at = open.clock.now();
        await open.close();
        world = await openWorld(urls, at);
      }
    }
  }
  await world?.close();
  await clickhouse.close();
  console.log(
    `${cases} cases, ${changes} changes, ${failed} failures; covered: ${describeCoverage(coverage)}`,
  );
  return failed > 0 ? 1 : 0;
}
