/** What a profile has besides its own properties, as conditions name it. */
export const PROFILE_PATHS = [
  'externalId',
  'email',
  'phone',
  'firstName',
  'lastName',
  'timezone',
  'locale',
  'location.city',
  'location.region',
  'location.country',
  'location.postalCode',
  'location.latitude',
  'location.longitude',
] as const;

/** Before the path of a property of the account's own: "properties.plan". */
export const PROPERTIES_PREFIX = 'properties.';

/** In `sum` and in `where`, the event's own value instead of a property. */
export const EVENT_VALUE = '$value';

const known: ReadonlySet<string> = new Set(PROFILE_PATHS);

export function isProfilePath(path: string): boolean {
  return known.has(path) || (path.startsWith(PROPERTIES_PREFIX) && path.length > PROPERTIES_PREFIX.length);
}
