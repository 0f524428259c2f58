/** Regions as lists of the names of their countries: ISO 3166-1 with two and three letters, and in English. */
import type { Region } from './ast.ts';

const EUROPEAN_UNION = `
AT AUT Austria|BE BEL Belgium|BG BGR Bulgaria|HR HRV Croatia|CY CYP Cyprus|CZ CZE Czechia|DK DNK Denmark|
EE EST Estonia|FI FIN Finland|FR FRA France|DE DEU Germany|GR GRC Greece|HU HUN Hungary|IE IRL Ireland|IT ITA Italy|
LV LVA Latvia|LT LTU Lithuania|LU LUX Luxembourg|MT MLT Malta|NL NLD Netherlands|PL POL Poland|PT PRT Portugal|
RO ROU Romania|SK SVK Slovakia|SI SVN Slovenia|ES ESP Spain|SE SWE Sweden`;

/** What `location.country` may be, exactly so, for the profile to be in the region. Sorted. */
export const COUNTRIES_OF: Readonly<Record<Region, readonly string[]>> = {
  EUROPEAN_UNION: [...EUROPEAN_UNION.split(/[\s|]+/).filter(Boolean), 'Czech Republic'].sort(),
  UNITED_STATES: ['US', 'USA', 'United States', 'United States of America'],
};
