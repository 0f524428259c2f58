import { createLogger, type LogLevel } from '../../src/runtime/logger.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import { createKafkaLog } from '../../src/storage/log/kafka.ts';
import type { Log } from '../../src/storage/log/log.ts';
import { connectMySql } from '../../src/storage/mysql/connect.ts';

/** Where a log is: plain data, so that a child process can open the same one. */
export type Place = { kind: 'embedded'; url: string } | { kind: 'kafka'; brokers: string[] };

/** A log as one process would open it. `close` also closes what is below it. */
export function openLog(place: Place): Log {
  const logger = createLogger((process.env['TEST_LOG_LEVEL'] as LogLevel | undefined) ?? 'silent');
  if (place.kind === 'kafka') {
    return createKafkaLog({
      brokers: place.brokers,
      clientId: 'test',
      logger,
      onCrash(error) {
        throw error;
      },
    });
  }
  const mysql = connectMySql(place.url);
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  return {
    ...log,
    async close() {
      await log.close();
      await mysql.close();
    },
  };
}
