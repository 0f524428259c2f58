// npm start: sees to what is missing, then runs Tidemark.
import { constants } from 'node:os';
import { replaceWith, setUp, stopWithUs } from './lib/setup.mjs';

setUp({ needsMariaDb: !process.env.MYSQL_URL });
// Otherwise the GraphQL library looks whether there is another copy of it wherever an instanceof is false.
process.env.NODE_ENV ??= 'production';
// Megabytes for what is young: under load nearly everything dies at once, and what is copied meanwhile costs time.
const node = [process.execPath, '--max-semi-space-size=64', '--import', 'tsx', 'src/main.ts'];
const [command, ...args] = [...stopWithUs(), ...node];
process.exitCode = await replaceWith(command, [...args, ...process.argv.slice(2)], constants.signals);
