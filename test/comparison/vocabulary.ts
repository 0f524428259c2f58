/** Words and numbers of the random cases: few, so that they meet, and awkward. */

export const METRICS = ['Placed Order', 'Viewed Product', 'Opened Email', `Odd 'metric' "%_\\ é 😀`];
export const NEVER_SENT = 'Never Happened';

export const EVENT_PATHS = [
  'price',
  'quantity',
  'plan',
  'gift',
  'tags',
  'item',
  'item.name',
  'item.price',
  'item.size.eu',
  // Twice as often: dates are many things.
  'due',
  'due',
  'item.since',
  'odd key "\'\\%_é',
  'never sent',
];
export const NUMBER_PATHS: ReadonlySet<string> = new Set([
  'price',
  'quantity',
  'item.price',
  'item.size.eu',
  '$value',
]);
export const BOOLEAN_PATHS: ReadonlySet<string> = new Set(['gift']);
export const LIST_PATHS: ReadonlySet<string> = new Set(['tags']);
export const SUM_PATHS = ['$value', '$value', 'price', 'quantity', 'item.price', 'plan', 'never sent'];
/** Here a value is of any type. */
export const DISTINCT_PATHS = [
  'tags',
  'tags',
  'plan',
  'plan',
  'price',
  'gift',
  'item',
  '$value',
  'never sent',
];

export const ATTRIBUTES = [
  'externalId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'timezone',
  'locale',
  'location.city',
  'location.country',
  'location.region',
  'location.postalCode',
  'location.latitude',
  'location.longitude',
];

export const TEXTS = [
  '',
  ' ',
  'gold',
  'Gold',
  'gold ',
  'silver',
  '5',
  '0.1',
  'true',
  'null',
  'ä',
  'a\u0308',
  'ß',
  'SS',
  '😀',
  '👩‍👩‍👧',
  "O'Hara",
  '"quoted"',
  'back\\slash',
  '\\',
  '\\n',
  'line\nbreak',
  'tab\tstop',
  '100%',
  'a_b',
  'axb',
  '%',
  '_',
  '{p1:String}',
  '\u2028',
  '\uffff',
  'İ',
  "'); DROP TABLE events; --",
];

export const FIRST_NAMES = ['Ada', 'ada', 'Zoë', 'Zoe\u0308', "D'Arcy", '李', 'Null'];
export const CITIES = ['Berlin', 'München', 'São Paulo', 'New York'];
export const COUNTRIES = [
  'Germany',
  'DE',
  'FRA',
  'United Kingdom',
  'BR',
  'US',
  'United States',
  'us',
  'nowhere',
];
/** The poles, both sides of the date line, and places some hundred kilometers apart. */
export const LATITUDES = [0, 52.52, 53.55, -33.9, 90, -90, 89.99];
export const LONGITUDES = [0, 13.405, 9.993, 151.2, 180, -180, 179.999, -179.999];
export const POSTAL_CODES = ['10115', '80331', 'W2 9AE'];
export const TIMEZONES = ['Europe/Berlin', 'UTC', 'America/New_York'];
export const LOCALES = ['de-DE', 'en'];
export const DOMAINS = ['x.com', 'example.org', 'münchen.de'];

/** What stands in an attribute; anywhere else it is one of TEXTS. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  externalId: ['p1', 'p2', 'p11'],
  email: ['u1@x.com', '@x.com', ...DOMAINS],
  phone: ['+49', '+4900'],
  firstName: FIRST_NAMES,
  lastName: FIRST_NAMES,
  timezone: TIMEZONES,
  locale: LOCALES,
  'location.city': CITIES,
  'location.country': COUNTRIES,
  'location.postalCode': POSTAL_CODES,
};

export const NUMBERS = [
  0,
  1,
  2,
  3,
  5,
  10,
  -1,
  -5,
  0.1,
  0.2,
  0.3,
  0.1 + 0.2,
  19.99,
  2.5e-6,
  3.5e-6,
  5e-7,
  1.0000005,
  -2.5e-6,
  1e-9,
  1e12,
  1e12 + 0.5,
  999_999_999_999.999,
  2 ** 53,
  1e18,
  -1e18,
];

/** Elements of lists as list filters know them. */
export const ELEMENTS = [
  'gold',
  'Gold',
  'silver',
  '',
  '5',
  '0.1',
  'true',
  "O'Hara",
  '{"a":"x","b":[1]}',
  '["gold",5]',
  '1000000000000000000',
];

export const PATTERNS = [
  'o',
  '^g',
  'd$',
  '.',
  '^.$',
  '^$',
  '^..$',
  '\\d+',
  '(?i)GOLD',
  'e.b',
  'gold|silver',
  '[[:alpha:]]{4,}',
  '\\pL',
  '\\PL',
  '\\\\',
  "'",
  '😀',
  '[^a-z]',
  '(?i)^ä$',
  '\\bgold\\b',
  '\\s$',
  '@x\\.com$',
];
