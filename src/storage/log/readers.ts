interface Reader {
  close(): Promise<void>;
}

/** The open readers of a log, so that it can close them with itself. */
export interface Readers {
  /** The same reader; closing it takes it off the list. */
  track<R extends Reader>(reader: R): R;
  closeAll(): Promise<void>;
}

export function createReaders(): Readers {
  const open = new Set<Reader>();
  return {
    track(reader) {
      const tracked = {
        ...reader,
        async close() {
          await reader.close();
          open.delete(tracked);
        },
      };
      open.add(tracked);
      return tracked;
    },
    async closeAll() {
      await Promise.all([...open].map((reader) => reader.close()));
    },
  };
}
