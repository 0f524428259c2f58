/** `npm run simulate`: how many machines for which volume. docs/scaling.md says what to make of it. */
import { BadOption, HELP, readOptions } from './options.ts';
import { costTable, printed } from './print.ts';
import { simulate } from './simulate.ts';

function main(): void {
  const options = readOptions(process.argv.slice(2));
  if (options.show === 'help') return console.log(HELP);
  if (options.show === 'costs') return console.log(costTable(options.costs));
  const { scenario, costs, seed, name } = options;
  const simulation = simulate(scenario, costs, seed);
  if (options.show === 'json') {
    return console.log(JSON.stringify({ preset: name, seed, ...scenario, costs, ...simulation }, null, 2));
  }
  console.log(printed(options, simulation));
}

try {
  main();
} catch (error) {
  if (!(error instanceof BadOption)) throw error;
  console.error(`${error.message}\nnpm run simulate -- --help lists the options.`);
  process.exitCode = 1;
}
