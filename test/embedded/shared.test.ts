import { expect, test } from 'vitest';
import { clickhouseQuery, sql, useEngines } from '../support/engines.ts';

const engines = useEngines();

test('the test run gives each file databases of its own', async () => {
  expect(await clickhouseQuery(engines.clickhouseUrl(), 'SELECT currentDatabase()')).toMatch(/^test_/);
  expect(await sql(engines.mysqlUrl(), 'SELECT DATABASE() AS name')).toEqual([
    { name: expect.stringMatching(/^test_/) as string },
  ]);
});

test('ClickHouse answers nobody who lacks the password', async () => {
  const { origin } = new URL(engines.clickhouseUrl());
  for (const query of [
    'CREATE DATABASE intruder',
    'SYSTEM SHUTDOWN',
    "SELECT * FROM file('/etc/passwd', LineAsString)",
  ]) {
    const response = await fetch(origin, { method: 'POST', body: query });
    expect(await response.text()).toContain('Not enough privileges');
  }
});

test('MariaDB tells keys apart by case, accent and trailing space', async () => {
  await sql(engines.mysqlUrl(), 'CREATE TABLE names (name VARCHAR(40) PRIMARY KEY)');
  await sql(engines.mysqlUrl(), "INSERT INTO names VALUES ('ada'), ('Ada'), ('ada '), ('adá'), ('😀')");
  expect(await sql(engines.mysqlUrl(), 'SELECT COUNT(*) AS n FROM names')).toEqual([{ n: 5 }]);
  expect(
    await sql(
      engines.mysqlUrl(),
      'SELECT @@innodb_flush_log_at_trx_commit AS f, @@tx_isolation AS i, @@max_allowed_packet AS p',
    ),
  ).toEqual([{ f: 1, i: 'READ-COMMITTED', p: 64 * 1024 * 1024 }]);
});
