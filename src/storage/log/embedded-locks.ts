import { createHash, randomUUID } from 'node:crypto';
import { change, select, type SqlConnection, type SqlPool } from './sql.ts';

/** The server closes a session that has been silent for so long, which frees what a stopped process held. */
const SESSION_SILENCE_S = 10;
/** Before that we count ourselves out, so that nobody else is handed a partition while we still believe in ours. */
const ANSWER_WITHIN_MS = 8_000;

export interface Member {
  id: string;
  topics: string[];
}

/**
 * One membership in a consumer group: a database session of its own whose named locks say that it lives and which
 * partitions it holds. The locks go with the session, at once when the process dies. Any rejection of these calls
 * means that the session, and with it everything held, must be taken for lost.
 */
export interface Membership {
  readonly id: string;
  /** The living members of the group, this one included, in an order on which all of them agree. */
  members(): Promise<Member[]>;
  /** Takes up to `most` of these partitions and returns those that are now held. */
  acquire(topic: number, partitions: number[], most: number): Promise<number[]>;
  release(held: { topic: number; partition: number }[]): Promise<void>;
  /** Others may have its share from now on, except for what is still held. Repeat it as the sign of life. */
  retire(): Promise<void>;
  /** Ends the session, and so frees everything that is still held. */
  leave(): Promise<void>;
}

export async function joinGroup(pool: SqlPool, group: string, topics: string[]): Promise<Membership> {
  const id = randomUUID();
  const connection = await pool.getConnection();
  const ask = <Row>(sql: string, values: unknown[] = []) =>
    inTime(connection, select<Row>(connection, sql, values));

  try {
    await inTime(connection, change(connection, `SET SESSION wait_timeout = ${SESSION_SILENCE_S}`));
    const [{ database } = { database: '' }] = await ask<{ database: string }>(
      'SELECT DATABASE() AS `database`',
    );
    const lockName = (what: string) => lockOf(database, group, what);
    // First the lock, then the row: a row whose lock is free is the trace of a dead member.
    const [{ got } = { got: 0 }] = await ask<{ got: number }>('SELECT GET_LOCK(?, 0) AS got', [lockName(id)]);
    if (got !== 1) throw new Error('a lock under a random name was taken');
    await inTime(
      connection,
      change(
        connection,
        'INSERT INTO log_members (group_name, member_id, lock_name, topics) VALUES (?, ?, ?, ?)',
        [group, id, lockName(id), JSON.stringify(topics)],
      ),
    );
    await sweep();
    return { id, members, acquire, release, retire, leave };

    async function readMembers() {
      return ask<{ id: string; topics: string; holder: number | null }>(
        `SELECT member_id AS id, topics AS topics, IS_USED_LOCK(lock_name) AS holder
           FROM log_members WHERE group_name = ? ORDER BY member_id`,
        [group],
      );
    }

    async function sweep(): Promise<void> {
      const dead = (await readMembers())
        .filter((member) => member.holder === null)
        .map((member) => member.id);
      if (dead.length === 0) return;
      const marks = dead.map(() => '?').join(',');
      await inTime(
        connection,
        change(connection, `DELETE FROM log_members WHERE group_name = ? AND member_id IN (${marks})`, [
          group,
          ...dead,
        ]),
      );
    }

    async function members(): Promise<Member[]> {
      const living = (await readMembers()).filter((member) => member.holder !== null);
      if (!living.some((member) => member.id === id))
        throw new Error('this member is no longer in its group');
      return living.map((member) => ({ id: member.id, topics: JSON.parse(member.topics) as string[] }));
    }

    async function acquire(topic: number, partitions: number[], most: number): Promise<number[]> {
      const candidates =
        most >= partitions.length
          ? partitions
          : (await askEach('IS_FREE_LOCK(?)', topic, partitions)).slice(0, most);
      return askEach('GET_LOCK(?, 0)', topic, candidates);
    }

    /** The partitions for whose lock the function answers 1. */
    async function askEach(call: string, topic: number, partitions: number[]): Promise<number[]> {
      if (partitions.length === 0) return [];
      const [answers = {}] = await ask<Record<string, number | null>>(
        `SELECT ${partitions.map((partition) => `${call} AS p${partition}`).join(', ')}`,
        partitions.map((partition) => lockName(`${topic}:${partition}`)),
      );
      return partitions.filter((partition) => answers[`p${partition}`] === 1);
    }

    async function release(held: { topic: number; partition: number }[]): Promise<void> {
      if (held.length === 0) return;
      await ask(
        `SELECT ${held.map(() => 'RELEASE_LOCK(?)').join(', ')}`,
        held.map(({ topic, partition }) => lockName(`${topic}:${partition}`)),
      );
    }

    async function retire(): Promise<void> {
      await inTime(
        connection,
        change(connection, 'DELETE FROM log_members WHERE group_name = ? AND member_id = ?', [group, id]),
      );
    }

    async function leave(): Promise<void> {
      try {
        await retire();
      } finally {
        connection.destroy();
      }
    }
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** Named locks are server-wide and have at most 64 characters, whose case does not count. */
export function lockOf(database: string, ...parts: string[]): string {
  const digest = createHash('sha256').update(JSON.stringify([database, ...parts]));
  return `tidemark-log-${digest.digest('hex').slice(0, 40)}`;
}

async function inTime<T>(connection: SqlConnection, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      connection.destroy();
      reject(new Error(`the database did not answer within ${ANSWER_WITHIN_MS} ms`));
    }, ANSWER_WITHIN_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
