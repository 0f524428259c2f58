/** What the API is made of. */
import type { CriterionSets } from '../evaluation/criterion-sets.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { Hub } from '../streaming/hub.ts';
import type { Live } from '../streaming/live.ts';

export interface Deps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  logger: Logger;
  hub: Hub;
  live: Live;
  criterionSets: CriterionSets;
}
