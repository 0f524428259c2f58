import { beforeAll, describe } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMigrations } from '../../src/storage/migration-files.ts';
import { sql, useEngines } from '../support/engines.ts';
import { logContract } from './contract.ts';
import { cutSessions } from './history.ts';

const engines = useEngines();

beforeAll(async () => {
  const [migration] = await readMigrations('migrations');
  for (const statement of migration?.statements ?? []) await sql(engines.mysqlUrl(), statement);
});

describe('the embedded log', () => {
  logContract({
    place: () => ({ kind: 'embedded', url: engines.mysqlUrl() }),
    takeOverMs: 2_000,
    async disturb() {
      for (let i = 0; i < 5; i++) {
        await cutSessions(engines.mysqlUrl());
        await sleep(200);
      }
    },
  });
});
