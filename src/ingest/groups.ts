/**
 * Batches of different partitions that come or wait at the same time are taken together: a commit in MySQL and an insert
 * into ClickHouse cost the same for one row as for a thousand. Under light load there is one group at a time, so that groups
 * grow instead of becoming many; when full groups are waiting, one is stored while the one before it is paid.
 */

interface Waiting<Batch> {
  batch: Batch;
  size: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

const PAYING_AT_ONCE = 2;

/**
 * Returns a function that resolves when the batch has been done, as part of a group whose sizes add up to at most
 * `fullAt` (a larger batch goes alone). `work` calls `stored` once it is merely waiting for ClickHouse. `linger` waits,
 * after a small group, for partitions whose batch has just been done to come with their next one, lest they miss every
 * other group; it never rejects.
 */
export function inGroups<Batch>(
  options: { fullAt: number; sizeOf(batch: Batch): number; linger(): Promise<void> },
  work: (group: Batch[], stored: () => void) => Promise<void>,
): (batch: Batch) => Promise<void> {
  const waiting: Waiting<Batch>[] = [];
  let storing = false;
  let running = 0;
  /** For those who are about to come: small groups wait. */
  let lingering = false;

  function take(): { group: Waiting<Batch>[]; isFull: boolean } {
    let [size, count] = [0, 0];
    for (const next of waiting) {
      if (count > 0 && size + next.size > options.fullAt)
        return { group: waiting.slice(0, count), isFull: true };
      size += next.size;
      count += 1;
    }
    return { group: [...waiting], isFull: size >= options.fullAt };
  }

  function start(): void {
    if (storing || waiting.length === 0 || running === PAYING_AT_ONCE) return;
    const { group, isFull } = take();
    if ((running > 0 || lingering) && !isFull) return;
    waiting.splice(0, group.length);
    storing = true;
    running += 1;
    void run(group);
  }

  async function run(group: Waiting<Batch>[]): Promise<void> {
    let isStored = false;
    const stored = () => {
      if (isStored) return;
      isStored = true;
      storing = false;
      start();
    };
    try {
      await work(
        group.map(({ batch }) => batch),
        stored,
      );
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
    running -= 1;
    const size = group.reduce((sum, waited) => sum + waited.size, 0);
    if (size <= options.fullAt / 10) {
      lingering = true;
      void options.linger().then(() => {
        lingering = false;
        start();
      });
    }
    stored();
    start();
  }

  /** One call wakes several partitions, which come one after the other, but before anything else happens. */
  function gather(): void {
    if (running > 0 || lingering) return start();
    lingering = true;
    setImmediate(() => {
      lingering = false;
      start();
    });
  }

  return (batch) =>
    new Promise((resolve, reject) => {
      waiting.push({ batch, size: options.sizeOf(batch), resolve, reject });
      gather();
    });
}
