/** Work of many owners, a few at once; whoever has much waiting does not keep the others from their turn. */

export interface FairQueue<Owner> {
  /** Resolves and rejects as the work does. */
  run<Result>(owner: Owner, work: () => Promise<Result>): Promise<Result>;
}

export function createFairQueue<Owner>(options: { atOnce: number }): FairQueue<Owner> {
  // The order of insertion is the order of turns.
  const waiting = new Map<Owner, (() => Promise<void>)[]>();
  let running = 0;

  function next(): void {
    const [turn] = waiting;
    if (running >= options.atOnce || !turn) return;
    const [owner, works] = turn;
    const work = works.shift();
    waiting.delete(owner);
    if (works.length > 0) waiting.set(owner, works);
    if (!work) return;
    running += 1;
    void work().finally(() => {
      running -= 1;
      next();
    });
    next();
  }

  return {
    run: (owner, work) =>
      new Promise((resolve, reject) => {
        const settle = () => work().then(resolve, reject);
        const works = waiting.get(owner) ?? [];
        waiting.set(owner, works);
        works.push(settle);
        next();
      }),
  };
}
