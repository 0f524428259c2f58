/** Somebody who listens all the time, and goes on where he was after a broken connection. */
import assert from 'node:assert/strict';
import { currentPosition, membershipChanges, type MembershipChange } from '../../src/streaming/feed.ts';
import { idsByPartition } from './pipeline.ts';
import { until, type World } from './world.ts';

export interface Subscriber {
  reconnect(): Promise<void>;
  /** Waits until as much has come as is in the log, and compares: the same, once, in the order of each partition. */
  expect(log: readonly MembershipChange[]): Promise<void>;
  stop(): Promise<void>;
}

export function subscribe(world: World, account: number): Subscriber {
  const received: MembershipChange[] = [];
  let failure: unknown = null;
  let connection = connect(currentPosition(world, account));

  function connect(after: Promise<string>) {
    const controller = new AbortController();
    const filter = { segments: null, kinds: null };
    const listen = async () => {
      const position = await after;
      const feed = membershipChanges(world, account, { ...filter, after: position }, controller.signal);
      for await (const changes of feed) received.push(...changes);
    };
    const ended = listen().catch((error: unknown) => (failure = error));
    return { after, controller, ended };
  }

  async function stop(): Promise<void> {
    connection.controller.abort();
    await connection.ended;
  }

  return {
    stop,
    async reconnect() {
      await stop();
      const last = received.at(-1);
      connection = connect(last ? Promise.resolve(last.position) : connection.after);
    },
    async expect(log) {
      await until(
        'the subscription delivers what is in the log',
        () => Promise.resolve(received.length >= log.length || failure !== null),
        10_000,
      ).catch(() => undefined);
      if (failure !== null) throw failure instanceof Error ? failure : new Error('the subscription failed');
      assert.deepEqual(
        idsByPartition(received),
        idsByPartition(log),
        'the subscription did not deliver what is in the log',
      );
    },
  };
}
