import { z } from 'zod';
import { OperatorError } from './runtime/failure.ts';
import { isTimeZone } from './segments/calendar.ts';
import { LOG_LEVELS, type LogLevel } from './runtime/logger.ts';

export const ROLES = ['api', 'ingest', 'evaluate'] as const;
export type Role = (typeof ROLES)[number];

/** `null` for a URL (or the brokers) means: the embedded engine takes that part. */
export interface Config {
  port: number;
  host: string;
  dataDir: string;
  roles: ReadonlySet<Role>;
  bootstrapApiKey: string | null;
  /** Of the first account, as the IANA names it. */
  bootstrapTimezone: string;
  clickhouseUrl: string | null;
  /** Null: one server. */
  clickhouseCluster: string | null;
  mysqlUrl: string | null;
  kafkaBrokers: string[] | null;
  logLevel: LogLevel;
}

const MIN_KEY_LENGTH = 8;

/** A URL of one of the protocols. Messages never repeat the value: it may carry a password. */
function url(protocols: string[], example: string) {
  return z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `is not a URL beginning with ${protocols.map((p) => `${p}//`).join(' or ')}; write it like ${example}`,
  });
}

const list = (text: string) => text.split(',').map((item) => item.trim());

const role = z.enum(ROLES, {
  error: (issue) =>
    `names the unknown role "${String(issue.input)}"; use any of ${ROLES.join(', ')}, separated by commas`,
});

const broker = z.string().regex(/^[^\s:/@]+:\d{1,5}$/, {
  error: (issue) =>
    `has "${String(issue.input)}", which is not host:port; write it like kafka-1:9092,kafka-2:9092`,
});

const variables = z.object({
  PORT: z
    .string()
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, {
      error: (issue) =>
        `is "${String(issue.input)}", which is not a port; use a whole number from 0 (any free one) to 65535`,
    })
    .transform(Number)
    .default(4000),
  HOST: z
    .string()
    .regex(/^[\w.:-]+$/, 'is not an address; use one like 127.0.0.1, or 0.0.0.0 for every interface')
    .default('127.0.0.1'),
  DATA_DIR: z.string().default('./.data'),
  ROLES: z
    .string()
    .transform(list)
    .pipe(z.array(role))
    .default([...ROLES]),
  BOOTSTRAP_API_KEY: z
    .string()
    .regex(new RegExp(`^[\\x21-\\x7e]{${MIN_KEY_LENGTH},200}$`), {
      message: `must be ${MIN_KEY_LENGTH} to 200 printable characters without spaces; make one with: openssl rand -hex 24`,
    })
    .nullable()
    .default(null),
  BOOTSTRAP_TIMEZONE: z
    .string()
    .refine(isTimeZone, {
      error: (issue) => `is "${String(issue.input)}", which is no time zone; use a name like Europe/Berlin`,
    })
    .default('UTC'),
  CLICKHOUSE_URL: url(['http:', 'https:'], 'http://user:password@host:8123/tidemark')
    .nullable()
    .default(null),
  CLICKHOUSE_CLUSTER: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'is not the name of a cluster; use one that <remote_servers> of ClickHouse has')
    .nullable()
    .default(null),
  MYSQL_URL: url(['mysql:'], 'mysql://user:password@host:3306/tidemark').nullable().default(null),
  KAFKA_BROKERS: z.string().transform(list).pipe(z.array(broker)).nullable().default(null),
  LOG_LEVEL: z
    .enum(LOG_LEVELS, {
      error: (issue) => `is "${String(issue.input)}"; use one of ${LOG_LEVELS.join(', ')}`,
    })
    .default('info'),
});

const consistent = variables.refine(
  (values) => values.CLICKHOUSE_CLUSTER === null || values.CLICKHOUSE_URL !== null,
  {
    path: ['CLICKHOUSE_CLUSTER'],
    message: 'needs CLICKHOUSE_URL; write any server of that cluster there',
  },
);

/**
 * Reads the configuration. An empty variable counts as unset.
 * Throws one OperatorError (exit code 2) that lists every mistake.
 */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const set = Object.fromEntries(
    Object.entries(env)
      .map(([name, value]) => [name, value?.trim()] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = consistent.safeParse(set);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${String(issue.path[0])} ${issue.message}`);
    throw new OperatorError(`The configuration has mistakes:\n${problems.join('\n')}`, 2);
  }
  const values = parsed.data;
  return {
    port: values.PORT,
    host: values.HOST,
    dataDir: values.DATA_DIR,
    roles: new Set(values.ROLES),
    bootstrapApiKey: values.BOOTSTRAP_API_KEY,
    bootstrapTimezone: values.BOOTSTRAP_TIMEZONE,
    clickhouseUrl: values.CLICKHOUSE_URL,
    clickhouseCluster: values.CLICKHOUSE_CLUSTER,
    mysqlUrl: values.MYSQL_URL,
    kafkaBrokers: values.KAFKA_BROKERS,
    logLevel: values.LOG_LEVEL,
  };
}
