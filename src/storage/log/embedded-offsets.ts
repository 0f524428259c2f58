import { gathered } from '../../runtime/gathered.ts';
import { change, type SqlPool } from './sql.ts';

/** How far a member of a group has come in a partition. */
export interface GroupOffset {
  group: string;
  topic: number;
  partition: number;
  /** The member. */
  owner: string;
  position: number;
}

/** False when the partition belongs to somebody else by now. */
export type CommitOffset = (offset: GroupOffset) => Promise<boolean>;

/** Partitions whose batches end together are committed together: each statement costs a flush to disk. */
export function createOffsetCommits(pool: SqlPool): CommitOffset {
  const commit = gathered<GroupOffset, boolean>({ atOnce: 1, most: 1_000 }, async (offsets) => {
    if ((await write(pool, offsets)) === offsets.length) return offsets.map(() => true);
    const found: boolean[] = [];
    for (const offset of offsets) found.push((await write(pool, [offset])) > 0);
    return found;
  });
  return async (offset) => (await commit([offset]))[0] ?? false;
}

/** In the order of the primary key, so that two members never wait for one another crosswise. Returns how many were found. */
function write(pool: SqlPool, offsets: readonly GroupOffset[]): Promise<number> {
  const rows = [...offsets]
    .sort((a, b) =>
      a.group < b.group ? -1 : a.group > b.group ? 1 : a.topic - b.topic || a.partition - b.partition,
    )
    .map(({ group, topic, partition, owner, position }) => [group, topic, partition, owner, position]);
  return change(
    pool,
    `UPDATE JSON_TABLE(?, '$[*]' COLUMNS (
         group_name VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[0]',
         topic_id INT UNSIGNED PATH '$[1]',
         partition_no INT UNSIGNED PATH '$[2]',
         owner CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[3]',
         position BIGINT UNSIGNED PATH '$[4]'
       )) AS done
       STRAIGHT_JOIN log_offsets
         ON log_offsets.group_name = done.group_name
         AND log_offsets.topic_id = done.topic_id
         AND log_offsets.partition_no = done.partition_no
         AND log_offsets.owner = done.owner
        SET log_offsets.next_offset = done.position`,
    [JSON.stringify(rows)],
  );
}
