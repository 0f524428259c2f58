// npm start: sees to what is missing, then runs Tidemark.
import { constants } from 'node:os';
import { replaceWith, setUp, stopWithUs } from './lib/setup.mjs';

setUp({ needsMariaDb: !process.env.MYSQL_URL });
const [command, ...args] = [...stopWithUs(), process.execPath, '--import', 'tsx', 'src/main.ts'];
process.exitCode = await replaceWith(command, [...args, ...process.argv.slice(2)], constants.signals);
