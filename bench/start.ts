/** `start`: from `npm start` to ready, with an empty data folder and with the data of a former run. */
import { describeMachine } from './lib/machine.ts';
import type { Outcome } from './lib/report.ts';
import { inFolder, startService } from './lib/service.ts';
import { median, round } from './lib/stats.ts';

export async function runStart(options: { runs: number }): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  const fresh: number[] = [];
  const again: number[] = [];
  for (let run = 1; run <= options.runs; run++) {
    await inFolder(async (folder) => {
      fresh.push(await startOnce(folder));
      again.push(await startOnce(folder));
    });
    console.log(`run ${run} of ${options.runs}: fresh ${fresh.at(-1)} s, again ${again.at(-1)} s`);
  }
  const spread = (values: number[]) => ({
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    runs: values,
  });
  return {
    name: 'start',
    machine,
    parameters: { runs: options.runs, command: 'npm start' },
    lines: [
      { label: 'freshSeconds', value: median(fresh), unit: 's', bar: 12 },
      { label: '  fastest', value: Math.min(...fresh), unit: 's' },
      { label: '  slowest', value: Math.max(...fresh), unit: 's' },
      { label: 'againSeconds', value: median(again), unit: 's', bar: 6 },
      { label: '  fastest', value: Math.min(...again), unit: 's' },
      { label: '  slowest', value: Math.max(...again), unit: 's' },
    ],
    figures: {
      freshSeconds: median(fresh),
      againSeconds: median(again),
      fresh: spread(fresh),
      again: spread(again),
    },
    faults: [],
  };
}

async function startOnce(folder: string): Promise<number> {
  const service = await startService({ folder, command: 'npm start' });
  await service.stop();
  return round(service.readySeconds, 2);
}
