/** Ports of 127.0.0.1 for servers that may have to be started again on the same ones. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below those that systems give to outgoing connections (Linux from 32768 on, others from 49152): one of these, even one
// that was closed a minute ago, would keep a server from coming back.
const [LOWEST, BEHIND] = [20_000, 32_000];
const MOST_TRIES = 1_000;

/** Different ones that are free now. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries === MOST_TRIES) throw new Error(`no free ports between ${LOWEST} and ${BEHIND}`);
    const port = randomInt(LOWEST, BEHIND);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}
