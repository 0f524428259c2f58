/** A random past of some segments, written as evaluators would have left it, and replayed by a model of its own. */
import { command, insertLines } from '../../src/storage/clickhouse/connect.ts';
import { logLines, type LogEntry } from '../../src/storage/clickhouse/membership-log.ts';
import { shardOf } from '../../src/storage/clickhouse/shards.ts';
import { profiles, segmentPartitions, segments, segmentVersions } from '../../src/storage/mysql/schema.ts';
import { chunkOf, evaluatorPartition, EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';
import { seededRandom, type Random } from '../comparison/random.ts';
import type { TestApi } from './support.ts';

const CHUNK = 2 ** 16;
const MINUTE = 60_000;

export interface Past {
  account: number;
  segments: number[];
  /** When all segments were made, epoch milliseconds. */
  madeAt: number;
  /** In the order of the log; evaluated at instants that differ. */
  entries: LogEntry[];
  /** Whom a POPULATED entry stands for, by "segment:partition". */
  populations: ReadonlyMap<string, readonly number[]>;
  random: Random;
}

/** The members of a segment by profile, with the instant since which; null: since the population. */
export function replay(
  past: Past,
  segment: number,
  entries: readonly LogEntry[],
): Map<number, number | null> {
  const members = new Map<number, number | null>();
  for (const entry of entries) {
    if (entry.segment !== segment) continue;
    if (entry.kind === 'ENTERED') members.set(entry.profile, entry.at);
    else if (entry.kind === 'EXITED') members.delete(entry.profile);
    else
      for (const one of past.populations.get(`${segment}:${entry.partition}`) ?? []) members.set(one, null);
  }
  return new Map([...members].sort(([a], [b]) => a - b));
}

/** Profiles in three chunks, so in three partitions; some steps of the clock with nothing, some with much. */
export async function writePast(api: TestApi, account: number, seed: number): Promise<Past> {
  const random = seededRandom(seed);
  const people = [0, 1, 2].flatMap((chunk) => Array.from({ length: 12 }, (_, i) => chunk * CHUNK + i * 3));
  const partitions = [...new Set(people.map((profile) => evaluatorPartition(account, profile)))];
  const madeAt = Date.now() - 600 * MINUTE;
  const numbers = await insertRows(api, account, people, madeAt, 4);

  const entries: LogEntry[] = [];
  const populations = new Map<string, number[]>();
  const members = new Set<string>();
  const sequences = new Map<number, number>();
  let now = madeAt;
  const append = (entry: Pick<LogEntry, 'segment' | 'profile' | 'kind' | 'partition'>) => {
    now += random.chance(0.2) ? random.between(1, 40) * MINUTE : random.between(1, 5_000);
    // The partitions number what happens in them for all accounts: with gaps for one of them.
    const sequence = (sequences.get(entry.partition) ?? 0) + random.between(1, 3);
    sequences.set(entry.partition, sequence);
    const at = now - random.between(0, 3_000);
    entries.push({
      ...entry,
      account,
      sequence,
      version: 1,
      cause: 'EVENT',
      at,
      evaluatedAt: now,
      event: null,
    });
  };
  const populate = (segment: number, partition: number) => {
    const inside = people.filter((one) => evaluatorPartition(account, one) === partition);
    const first = inside.filter(() => random.chance(0.4));
    for (const profile of first) members.add(`${segment}:${profile}`);
    populations.set(`${segment}:${partition}`, first);
    append({ segment, profile: 0, kind: 'POPULATED', partition });
  };
  const waiting = random.shuffle(
    numbers.flatMap((segment) => partitions.map((partition) => ({ segment, partition }))),
  );
  const ready: typeof waiting = [];
  while (entries.length < 120) {
    const next = random.chance(ready.length === 0 ? 1 : 0.15) ? waiting.pop() : undefined;
    if (next) {
      populate(next.segment, next.partition);
      ready.push(next);
      continue;
    }
    const { segment, partition } = random.pick(ready);
    const profile = random.pick(people.filter((one) => evaluatorPartition(account, one) === partition));
    const key = `${segment}:${profile}`;
    const kind = members.delete(key) ? 'EXITED' : 'ENTERED';
    if (kind === 'ENTERED') members.add(key);
    append({ segment, profile, kind, partition });
  }
  const past = { account, segments: numbers, madeAt, entries, populations, random };
  await writeLog(api, past);
  return past;
}

async function writeLog(api: TestApi, { account, segments: numbers, entries, populations, madeAt }: Past) {
  for (const { segment, partition, evaluatedAt, kind } of entries) {
    if (kind !== 'POPULATED') continue;
    const first = populations.get(`${segment}:${partition}`) ?? [];
    for (const chunk of new Set(first.map(chunkOf))) {
      const lows = first.filter((one) => chunkOf(one) === chunk).map((one) => one % CHUNK);
      await command(
        shardOf(api.clickhouse, partition),
        `INSERT INTO memberships (account, segment, chunk, members)
         SELECT {account:UInt32}, {segment:UInt32}, {chunk:UInt16}, groupBitmapXorState(bitmapBuild({lows:Array(UInt32)}))`,
        { account, segment, chunk, lows },
      );
    }
    await api.mysql.db
      .insert(segmentPartitions)
      .values({ segment, partition, account, version: 1, populatedAt: evaluatedAt })
      .onDuplicateKeyUpdate({ set: { populatedAt: evaluatedAt } });
  }
  const lines = logLines(entries, 1);
  for (let start = 0; start < lines.length; start += 50) {
    const token = `past:${account}:${numbers[0]}:${madeAt}:${start}`;
    await insertLines(api.clickhouse, 'membership_log', lines.slice(start, start + 50), token);
  }
}

/** In one transaction: an evaluator that looks in between would populate the segments itself. */
async function insertRows(api: TestApi, account: number, people: number[], madeAt: number, count: number) {
  return api.mysql.db.transaction(async (tx) => {
    await tx.insert(profiles).values(
      people.map((number) => ({
        account,
        number,
        externalId: `p-${number}`,
        location: '{}',
        consents: '{}',
        properties: '{}',
        createdAt: madeAt,
        updatedAt: madeAt,
        revision: 1,
      })),
    );
    const numbers: number[] = [];
    const definition = JSON.stringify({ event: { metric: 'Never' } });
    for (let i = 0; i < count; i++) {
      const [made] = await tx
        .insert(segments)
        .values({ account, name: `Past ${i}`, version: 1, createdAt: madeAt, updatedAt: madeAt });
      const segment = made.insertId;
      numbers.push(segment);
      await tx.insert(segmentVersions).values({ segment, version: 1, definition, createdAt: madeAt });
      await tx.insert(segmentPartitions).values(
        Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => ({
          segment,
          partition,
          account,
          version: 1,
          populatedAt: madeAt,
        })),
      );
    }
    return numbers;
  });
}
