export { startEmbeddedClickHouse, type EmbeddedEngine } from './clickhouse.ts';
export { startEmbeddedMariaDb } from './mariadb.ts';
