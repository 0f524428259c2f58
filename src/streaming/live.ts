/** What one API process follows besides memberships, as long as somebody asks for it. */
import type { Clock } from '../runtime/clock.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { createActivity, type Activity } from './activity.ts';
import { createAudienceCounts, type AudienceCounts } from './audience-counts.ts';
import { createEventFeed, type EventFeed } from './event-feed.ts';

export interface Live {
  activity: Activity;
  audiences: AudienceCounts;
  events: EventFeed;
  close(): Promise<void>;
}

export interface LiveDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
}

export function createLive(deps: LiveDeps): Live {
  const activity = createActivity(deps);
  return {
    activity,
    audiences: createAudienceCounts({ ...deps, activity }),
    events: createEventFeed({ ...deps, activity }),
    close: () => activity.close(),
  };
}
