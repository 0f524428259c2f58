import { Kafka, logLevel, type LogEntry, type RetryOptions } from 'kafkajs';
import type { Logger } from '../../runtime/logger.ts';

/** About 10 s of trying before a call fails: a broker that restarts, or a leader that moves, is over by then. */
export const RETRY: RetryOptions = { initialRetryTime: 100, maxRetryTime: 2_000, retries: 8 };

export function createKafka(options: { brokers: string[]; clientId: string; logger: Logger }): Kafka {
  const logger = options.logger.child({ library: 'kafkajs' });
  return new Kafka({
    brokers: options.brokers,
    clientId: options.clientId,
    connectionTimeout: 3_000,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => relay(logger, entry),
  });
}

/** kafkajs calls an error what it then repeats with success, every rebalance among them: what matters we report. */
function relay(logger: Logger, { level, namespace, log }: LogEntry): void {
  const error: unknown = log['error'];
  const fields = { namespace, ...(typeof error === 'string' ? { error } : {}) };
  const expected = /rebalancing|not aware of this member|rejoin/i.test(
    `${log.message} ${String(fields.error)}`,
  );
  if (level === logLevel.ERROR && !expected) logger.warn(fields, log.message);
  else logger.debug(fields, log.message);
}

interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** A client shared by many calls, connected at first use. */
export interface Shared<Client> {
  use<T>(work: (client: Client) => Promise<T>): Promise<T>;
  /**
   * The next use gets a new client; the old one is closed after its last use. kafkajs keeps the partitions of a
   * topic for minutes and drops without a word what is sent to one it does not know.
   */
  replace(): void;
  close(): Promise<void>;
}

export function shareClient<Client extends Connectable>(make: () => Client): Shared<Client> {
  interface Entry {
    client: Client;
    connected: Promise<void>;
    users: number;
  }
  let current: Entry | null = null;

  function open(): Entry {
    const client = make();
    const entry: Entry = { client, connected: client.connect(), users: 0 };
    entry.connected.catch(() => {
      if (current === entry) current = null;
    });
    return entry;
  }

  return {
    async use(work) {
      current ??= open();
      const entry = current;
      entry.users++;
      try {
        await entry.connected;
        return await work(entry.client);
      } finally {
        entry.users--;
        if (entry !== current && entry.users === 0) await entry.client.disconnect().catch(() => undefined);
      }
    },
    replace() {
      const old = current;
      current = null;
      if (old?.users === 0) void old.client.disconnect().catch(() => undefined);
    },
    async close() {
      const old = current;
      current = null;
      await old?.client.disconnect();
    },
  };
}
