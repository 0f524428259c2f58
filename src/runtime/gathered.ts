/** Reading for many who ask at the same time: a statement costs nearly the same for one as for a hundred. */

interface Waiting<Value> {
  values: Value[];
  /** Answers that are still to come. */
  open: number;
  resolve: (values: Value[]) => void;
  reject: (error: unknown) => void;
}

/**
 * Returns a function that reads values for keys, each in the place of its key. What is asked for while `atOnce` readings
 * are under way, or at the same time, goes together in the next one, of at most `most` keys. Whoever has asked for a part
 * of a reading that fails is told what it has failed with.
 */
export function gathered<Key, Value>(
  { atOnce, most }: { atOnce: number; most: number },
  read: (keys: readonly Key[]) => Promise<readonly Value[]>,
): (keys: readonly Key[]) => Promise<Value[]> {
  const waiting: { key: Key; of: Waiting<Value>; place: number }[] = [];
  let running = 0;
  let isStarting = false;

  async function run(): Promise<void> {
    const batch = waiting.splice(0, most);
    try {
      const values = await read(batch.map(({ key }) => key));
      batch.forEach(({ of, place }, i) => {
        of.values[place] = values[i] as Value;
        of.open -= 1;
        if (of.open === 0) of.resolve(of.values);
      });
    } catch (error) {
      for (const { of } of batch) of.reject(error);
    }
  }

  function start(): void {
    if (running >= atOnce || waiting.length === 0) return;
    running += 1;
    void run().finally(() => {
      running -= 1;
      start();
    });
    start();
  }

  /** Those who have been woken by the same thing ask one after the other, but before anything else happens. */
  function startSoon(): void {
    if (isStarting || running >= atOnce) return;
    isStarting = true;
    setImmediate(() => {
      isStarting = false;
      start();
    });
  }

  return (keys) =>
    new Promise((resolve, reject) => {
      if (keys.length === 0) return resolve([]);
      const of: Waiting<Value> = { values: [], open: keys.length, resolve, reject };
      keys.forEach((key, place) => waiting.push({ key, of, place }));
      startSoon();
    });
}
