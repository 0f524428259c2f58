// Loaded before a Tidemark: its clock is ahead of the machine's by so much, so that a midnight comes when it is wanted.
const ahead = Number(process.env.BENCH_AHEAD_MS ?? 0);
const now = Date.now;
Date.now = () => now() + ahead;
