/** A bounded queue between who must not be held up and who may be slow. */

export interface Reader<Item> {
  /** What no longer fits makes the reader fall behind. */
  push(item: Item): void;
  /** Something had to be left out: the queue is worth nothing any more. */
  fallBehind(): void;
  /** All items that wait, at least one; 'behind' once some had to be left out; null when reader or signal ended. */
  next(signal: AbortSignal): Promise<Item[] | 'behind' | null>;
  /** Empties the queue and begins anew: what comes from now on is complete again. */
  reset(): void;
  close(): void;
}

/** Holds items as long as their weights sum up to at most `limit`. */
export function createReader<Item>(options: {
  limit: number;
  weightOf: (item: Item) => number;
  onClose: () => void;
}): Reader<Item> {
  const { limit, weightOf, onClose } = options;
  let queue: Item[] = [];
  let weight = 0;
  let behind = false;
  let closed = false;
  let wake: (() => void) | null = null;

  const changed = () => {
    wake?.();
    wake = null;
  };
  const empty = () => {
    queue = [];
    weight = 0;
  };
  return {
    push(item) {
      if (behind || closed) return;
      weight += weightOf(item);
      if (weight > limit) return this.fallBehind();
      queue.push(item);
      changed();
    },
    fallBehind() {
      behind = true;
      empty();
      changed();
    },
    async next(signal) {
      for (;;) {
        if (closed || signal.aborted) return null;
        if (behind) return 'behind';
        if (queue.length > 0) {
          const items = queue;
          empty();
          return items;
        }
        await new Promise<void>((resolve) => {
          const done = () => {
            signal.removeEventListener('abort', done);
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }
    },
    reset() {
      behind = false;
      empty();
    },
    close() {
      if (closed) return;
      closed = true;
      onClose();
      changed();
    },
  };
}
