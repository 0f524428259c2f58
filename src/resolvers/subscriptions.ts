/** What all subscriptions have in common: they end with the client, the server and the key. */
import { createLoaders, type Expected } from './loaders.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError } from './errors.ts';

/**
 * Follows a source until the client is gone, the server stops (both quietly) or the key is revoked (an error). The
 * source yields what comes together; its values are handed on one by one, and what they ask for is read together, as
 * `expect` foretells it, and forgotten before the next batch. `explain` may put a better error in the place of the
 * source's own.
 *
 * Not an async generator itself: the return() of one waits for a next() that may never come.
 */
export function subscription<Value>(
  ctx: Context,
  open: (signal: AbortSignal) => AsyncGenerator<Value[]>,
  expect: (values: Value[]) => Expected,
  explain: (error: unknown) => unknown,
): AsyncIterableIterator<Value> {
  const account = accountOf(ctx);
  const stopped = new AbortController();
  let revoked = false;
  let waiting: Value[] = [];

  const stop = () => stopped.abort();
  const unwatch = ctx.authenticator.watch(ctx.principal?.key ?? 0, () => {
    revoked = true;
    stop();
  });
  ctx.signal.addEventListener('abort', stop, { once: true });
  if (ctx.signal.aborted) stop();

  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    unwatch();
    ctx.signal.removeEventListener('abort', stop);
    stop();
    // Its end may wait for what it is doing now; nobody has to wait for that.
    source.return(undefined).catch(() => {});
  };

  const source = open(stopped.signal);
  let wake = () => {};
  stopped.signal.addEventListener('abort', () => wake(), { once: true });
  /** Null: stopped. The source is not trusted to notice that at once: whoever waits for it would wait too. */
  const nextOrStopped = () =>
    new Promise<IteratorResult<Value[]> | null>((resolve, reject) => {
      if (stopped.signal.aborted) return resolve(null);
      wake = () => resolve(null);
      source.next().then(resolve, reject);
    });

  return {
    async next() {
      try {
        const value = stopped.signal.aborted ? undefined : waiting.shift();
        if (value !== undefined) return { done: false, value };
        const result = await nextOrStopped();
        if (result === null || result.done) {
          release();
          if (revoked) throw new ApiError('UNAUTHENTICATED', 'This API key was revoked.');
          return { done: true, value: undefined };
        }
        const [first, ...others] = result.value;
        if (first === undefined) throw new Error('a source yielded nothing');
        waiting = others;
        ctx.loaders = createLoaders(ctx.deps, account, expect(result.value));
        return { done: false, value: first };
      } catch (error) {
        release();
        throw explain(error);
      }
    },
    async return() {
      release();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
