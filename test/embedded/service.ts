// A process that owns both engines, for tests that kill it.   tsx service.ts DATA_DIR
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { runService } from '../../src/runtime/lifecycle.ts';
import { createLogger } from '../../src/runtime/logger.ts';

const logger = createLogger('error');
const options = { dataDir: process.argv[2] ?? '', logger };

await runService({ logger }, async (lifecycle) => {
  const [clickhouse, mariadb] = await Promise.all([
    lifecycle.start(
      'clickhouse',
      () => startEmbeddedClickHouse(options),
      (engine) => engine.stop(),
    ),
    lifecycle.start(
      'mariadb',
      () => startEmbeddedMariaDb(options),
      (engine) => engine.stop(),
    ),
  ]);
  process.stdout.write(`${JSON.stringify({ clickhouse: clickhouse.url, mysql: mariadb.url })}\n`);
});
