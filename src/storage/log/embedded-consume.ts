import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { joinGroup, type Membership } from './embedded-locks.ts';
import type { CommitOffset } from './embedded-offsets.ts';
import { groupSource } from './embedded-partition.ts';
import type { RecentRecords } from './embedded-recent.ts';
import type { Topic } from './embedded-topics.ts';
import type { Watch } from './embedded-watch.ts';
import type { ConsumerOptions, LogConsumer } from './log.ts';
import { runPartition } from './partition-loop.ts';
import type { SqlPool } from './sql.ts';
import { consumerHandler } from './consumer-handler.ts';

/** How often a member looks at its group: bounds the time to take over, and is the session's sign of life. */
const TICK_MS = 250;
const REJOIN_PAUSE_MS = 500;

interface Held {
  topic: Topic;
  partition: number;
  stop: AbortController;
  ended: boolean;
  done: Promise<void>;
}

/** A consumer of the embedded log. Resolves once it has joined and taken what is free. */
export async function startConsumer(
  environment: {
    pool: SqlPool;
    watch: Watch;
    recent: RecentRecords;
    commit: CommitOffset;
    clock: Clock;
    logger: Logger;
  },
  options: ConsumerOptions,
  topics: Topic[],
): Promise<LogConsumer> {
  const { pool, watch, clock } = environment;
  const logger = environment.logger.child({ group: options.group });
  const held = new Map<string, Held>();
  const closing = new AbortController();
  let nudge = new AbortController();

  function takeOn(membership: Membership, topic: Topic, partition: number): void {
    const stop = new AbortController();
    const entry: Held = { topic, partition, stop, ended: false, done: Promise.resolve() };
    held.set(`${topic.id}:${partition}`, entry);
    entry.done = runPartition({
      source: groupSource(environment, options.group, membership.id, topic.id, partition, options),
      handler: consumerHandler(options, topic.name, partition, stop.signal),
      signal: stop.signal,
      clock,
      logger: logger.child({ topic: topic.name, partition }),
    }).then(() => {
      entry.ended = true;
      nudge.abort();
    });
  }

  function ofTopic(topic: Topic): Held[] {
    return [...held.values()].filter((entry) => entry.topic.id === topic.id);
  }

  /** Gives back what has ended, asks what is too much to end, and takes what is free and due to this member. */
  async function tick(membership: Membership): Promise<void> {
    const ended = [...held.values()].filter((entry) => entry.ended);
    await membership.release(ended.map(({ topic, partition }) => ({ topic: topic.id, partition })));
    for (const { topic, partition } of ended) held.delete(`${topic.id}:${partition}`);
    if (closing.signal.aborted) {
      await membership.retire();
      for (const { stop } of held.values()) stop.abort();
      return;
    }
    const members = await membership.members();
    for (const topic of topics) {
      const partitions = watch.ends(topic.id).length;
      const rivals = members
        .filter((member) => member.topics.includes(topic.name))
        .map((member) => member.id);
      const due = quota(partitions, rivals, membership.id, topic.id);
      const mine = ofTopic(topic);
      for (const { stop } of mine.slice(due)) stop.abort();
      if (mine.length >= due) continue;
      const others = Array.from({ length: partitions }, (_, i) => i).filter(
        (partition) => !held.has(`${topic.id}:${partition}`),
      );
      for (const partition of await membership.acquire(topic.id, others, due - mine.length)) {
        takeOn(membership, topic, partition);
      }
    }
  }

  async function pause(ms: number): Promise<void> {
    await clock.sleep(ms, AbortSignal.any([closing.signal, nudge.signal]));
    if (nudge.signal.aborted) nudge = new AbortController();
  }

  /** Everything is lost, or must be treated so. Returns when all that was running has ended. */
  async function dropAll(): Promise<void> {
    for (const { stop } of held.values()) stop.abort();
    await Promise.all([...held.values()].map(({ done }) => done));
    held.clear();
  }

  async function serve(first: Membership): Promise<void> {
    let membership: Membership | null = first;
    let failures = 0;
    while (!closing.signal.aborted || held.size > 0) {
      try {
        membership ??= await joinGroup(pool, options.group, options.topics);
        await tick(membership);
        failures = 0;
        if (closing.signal.aborted) await untilEnded(TICK_MS);
        else await pause(TICK_MS);
      } catch (error) {
        if (failures++ === 0)
          logger.warn({ err: error, partitions: held.size }, 'membership lost; joining again');
        const lost = membership;
        membership = null;
        await Promise.all([dropAll(), lost?.leave().catch(() => undefined)]);
        if (!closing.signal.aborted) await pause(REJOIN_PAUSE_MS);
      }
    }
    await membership?.leave().catch((error: unknown) => logger.debug({ err: error }, 'left without a word'));
  }

  async function untilEnded(ms: number): Promise<void> {
    const running = [...held.values()].filter((entry) => !entry.ended);
    if (running.length < held.size || running.length === 0) return;
    await Promise.race([clock.sleep(ms), ...running.map(({ done }) => done)]);
  }

  const unfollow: (() => void)[] = [];
  const stopFollowing = () => unfollow.forEach((stop) => stop());
  try {
    for (const topic of topics) unfollow.push(await watch.follow(topic.id));
    const membership = await joinGroup(pool, options.group, options.topics);
    await tick(membership);
    const serving = serve(membership).finally(stopFollowing);
    return {
      assigned() {
        const map = new Map<string, number[]>();
        for (const topic of topics) {
          const partitions = ofTopic(topic).filter((entry) => !entry.ended && !entry.stop.signal.aborted);
          map.set(
            topic.name,
            partitions.map((entry) => entry.partition).sort((a, b) => a - b),
          );
        }
        return map;
      },
      async close() {
        closing.abort();
        await serving;
      },
    };
  } catch (error) {
    stopFollowing();
    throw error;
  }
}

/**
 * How many of the topic's partitions are due to member `me`. The shares of all members add up to all partitions, so
 * that nothing is left over; `turn` (the topic) decides who gets one more, so that it is not always the same member.
 */
export function quota(partitions: number, members: readonly string[], me: string, turn: number): number {
  const rank = (members.indexOf(me) + turn) % members.length;
  return Math.floor(partitions / members.length) + (rank < partitions % members.length ? 1 : 0);
}
