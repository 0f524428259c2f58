import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { OperatorError } from '../../src/runtime/failure.ts';

test('an empty environment is a complete configuration, on embedded engines', () => {
  expect(loadConfig({ PORT: '', MYSQL_URL: '  ' })).toEqual({
    port: 4000,
    host: '127.0.0.1',
    dataDir: './.data',
    roles: new Set(['api', 'ingest', 'evaluate']),
    bootstrapApiKey: null,
    bootstrapTimezone: 'UTC',
    clickhouseUrl: null,
    clickhouseCluster: null,
    mysqlUrl: null,
    kafkaBrokers: null,
    logLevel: 'info',
  });
});

test('every variable is read', () => {
  expect(
    loadConfig({
      PORT: '80',
      HOST: '0.0.0.0',
      DATA_DIR: '/data',
      ROLES: 'api, evaluate',
      BOOTSTRAP_API_KEY: '0123456789abcdef',
      BOOTSTRAP_TIMEZONE: 'Europe/Berlin',
      CLICKHOUSE_URL: 'https://u:p@ch:8443/tidemark',
      CLICKHOUSE_CLUSTER: 'two-shards',
      MYSQL_URL: 'mysql://u:p@my:3306/tidemark',
      KAFKA_BROKERS: 'a:9092, b:9092',
      LOG_LEVEL: 'debug',
    }),
  ).toEqual({
    port: 80,
    host: '0.0.0.0',
    dataDir: '/data',
    roles: new Set(['api', 'evaluate']),
    bootstrapApiKey: '0123456789abcdef',
    bootstrapTimezone: 'Europe/Berlin',
    clickhouseUrl: 'https://u:p@ch:8443/tidemark',
    clickhouseCluster: 'two-shards',
    mysqlUrl: 'mysql://u:p@my:3306/tidemark',
    kafkaBrokers: ['a:9092', 'b:9092'],
    logLevel: 'debug',
  });
});

test('all mistakes are reported at once, each with its variable and remedy, and no secret is repeated', () => {
  const secrets = { BOOTSTRAP_API_KEY: 'hush', MYSQL_URL: 'http://u:whisper@my/t', CLICKHOUSE_URL: 'murmur' };
  const mistakes = {
    PORT: '65536',
    HOST: 'a b',
    CLICKHOUSE_CLUSTER: 'a b',
    ROLES: 'api,cook',
    KAFKA_BROKERS: 'a:1,b',
    LOG_LEVEL: 'loud',
    BOOTSTRAP_TIMEZONE: 'Berlin',
  };
  let error: unknown;
  try {
    loadConfig({ ...secrets, ...mistakes });
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(OperatorError);
  const { message, exitCode } = error as OperatorError;
  expect(exitCode).toBe(2);
  const lines = message.split('\n').slice(1);
  expect(lines.map((line) => line.trim().split(' ')[0]).sort()).toEqual(
    [...Object.keys(secrets), ...Object.keys(mistakes)].sort(),
  );
  for (const line of lines) expect(line).toMatch(/; (use|write|make)/);
  expect(message).not.toMatch(/hush|whisper|murmur/);
});

test.each(['-1', '1.5', '0x10', '1e3', 'NaN', '99999'])('PORT=%s is refused', (PORT) => {
  expect(() => loadConfig({ PORT })).toThrow('PORT is');
});

test('a cluster without a server of it is refused', () => {
  expect(() => loadConfig({ CLICKHOUSE_CLUSTER: 'shards' })).toThrow(
    'CLICKHOUSE_CLUSTER needs CLICKHOUSE_URL;',
  );
});

test('ROLES="," names no role, so it is refused', () => {
  expect(() => loadConfig({ ROLES: ',' })).toThrow('ROLES names the unknown role ""');
});
