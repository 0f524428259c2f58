import type { Channel, PredictionDimension } from './ast.ts';

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

/** In `where`, the event's own time: an instant, for date filters, and always set. */
export const EVENT_TIME = '$time';

const known: ReadonlySet<string> = new Set(PROFILE_PATHS);

export function isProfilePath(path: string): boolean {
  return known.has(path) || (path.startsWith(PROPERTIES_PREFIX) && path.length > PROPERTIES_PREFIX.length);
}

/** Among a profile's attributes, its newest consent of a channel. No condition can name it as a path. */
export function consentAttribute(channel: Channel): string {
  return `$consent.${channel}`;
}

/** Where predictions arrive: properties.$predictions.churnRisk and so on, named like the fields of `Predictions`. */
const PREDICTIONS: Readonly<Record<PredictionDimension, string>> = {
  EXPECTED_NEXT_ORDER: 'expectedNextOrderAt',
  PREDICTED_LIFETIME_VALUE: 'predictedLifetimeValue',
  HISTORIC_LIFETIME_VALUE: 'historicLifetimeValue',
  CHURN_RISK: 'churnRisk',
  AVERAGE_DAYS_BETWEEN_ORDERS: 'averageDaysBetweenOrders',
};
const PREDICTIONS_PREFIX = `${PROPERTIES_PREFIX}$predictions.`;
export const PREDICTION_DIMENSIONS = Object.keys(PREDICTIONS) as readonly PredictionDimension[];

export function predictionPath(dimension: PredictionDimension): string {
  return PREDICTIONS_PREFIX + PREDICTIONS[dimension];
}

/** The inverse of `predictionPath`; throws for any other path. */
export function predictionOf(path: string): PredictionDimension {
  const found = PREDICTION_DIMENSIONS.find((dimension) => predictionPath(dimension) === path);
  if (found === undefined) throw new Error('not the path of a prediction');
  return found;
}
