/** What was found for someone where a condition looks. */
import type {
  ConsentCriterion,
  EventCriterion,
  Leaf,
  NearCriterion,
  NumberFilter,
  PredictionLeaf,
  ProfileFacts,
  SequenceCriterion,
  Value,
} from './ast.ts';
import { parseDate } from './dates.ts';
import { durationWords } from './duration.ts';
import type { When } from './filters.ts';
import { distanceKm, isPlace, KM_PER_MILE } from './geo.ts';
import { happened, matches, measureOf, type Measured } from './measures.ts';
import { roundToMicros } from './numbers.ts';
import { predictionPath } from './paths.ts';
import { valueAt } from './reference.ts';
import { isInSample } from './sample.ts';
import { linksOf, sequenceHolds } from './sequences.ts';
import { distanceWords, STATUS_WORDS } from './words.ts';

export interface Finding {
  /** In words: "2 times, the last 31 days ago". */
  text: string;
  /** The value found, as JSON: a measure, an attribute, a distance in the condition's unit; null: there is none. */
  actual: Value | null;
  /**
   * What must be added to a number that was found (less than zero: taken away) to come to what is asked for, which may
   * have to be passed; 0 when it is there; null where this has no meaning.
   */
  missing: number | null;
}

export function findingOf(leaf: Leaf, facts: ProfileFacts, when: When): Finding {
  switch (leaf.kind) {
    case 'event':
      return eventFinding(leaf, facts, when);
    case 'sequence':
      return sequenceFinding(leaf, facts, when);
    case 'property':
      return valueFinding(
        facts.attributes.get(leaf.path),
        leaf.filter.kind === 'number' ? leaf.filter.number : null,
        leaf.filter.kind === 'date',
        when,
      );
    case 'consent':
      return consentFinding(leaf, facts, when);
    case 'segment': {
      const actual = facts.memberships.has(leaf.id);
      return { text: actual ? 'a member' : 'not a member', actual, missing: null };
    }
    case 'near':
      return nearFinding(leaf, facts);
    case 'region':
      return valueFinding(facts.attributes.get('location.country'), null, false, when);
    case 'prediction':
      return predictionFinding(leaf, facts, when);
    case 'trend':
      return changeFinding(leaf.path, leaf.withinMs, facts, when);
    case 'sample': {
      const actual = isInSample(facts.number, leaf.salt, leaf.percent);
      return { text: actual ? 'in the sample' : 'not in the sample', actual, missing: null };
    }
  }
}

function eventFinding(leaf: EventCriterion, facts: ProfileFacts, when: When): Finding {
  const events = facts.events.filter(
    (event) => matches(event, leaf, when) && happened(event, leaf.within, when),
  );
  const actual = numberOf(measureOf(leaf, facts.events, when));
  const last = events.reduce<number | null>((latest, { time }) => Math.max(latest ?? time, time), null);
  const seen =
    last === null
      ? 'never'
      : `${events.length === 1 ? 'once' : `${events.length} times`}, the last ${awayText(last, when.at)}`;
  const text = leaf.measure.kind === 'count' ? seen : `${actual ?? 'no value'} (${seen})`;
  return { text, actual, missing: actual === null ? null : missingTo(leaf.is, actual) };
}

function numberOf(measured: Measured): number | null {
  switch (measured.kind) {
    case 'none':
      return null;
    case 'number':
      return measured.value;
    case 'ratio':
      return Number(measured.micros) / 1e6 / measured.over;
  }
}

/** How many steps have been made, in their order, before the first that has not. */
function sequenceFinding(leaf: SequenceCriterion, facts: ProfileFacts, when: When): Finding {
  const { links } = linksOf(leaf.steps);
  const made = links.filter((_, i) => {
    const steps = links.slice(0, i + 1).flatMap(({ unless, step }) => [...unless, step]);
    return sequenceHolds({ ...leaf, steps }, facts.events, when);
  }).length;
  return { text: `${made} of ${links.length} steps`, actual: made, missing: links.length - made };
}

function valueFinding(
  value: Value | undefined,
  is: NumberFilter | null,
  isDate: boolean,
  when: When,
): Finding {
  if (value === undefined) return { text: 'not set', actual: null, missing: null };
  const written = JSON.stringify(value);
  const shown = written.length > 200 ? `${written.slice(0, 200)}…` : written;
  const date = isDate && typeof value === 'string' ? parseDate(value, when.timeZone) : null;
  return {
    text: date === null ? shown : `${shown}, ${awayText(date, when.at)}`,
    actual: value,
    missing: is && typeof value === 'number' ? missingTo(is, value) : null,
  };
}

function predictionFinding(
  { dimension, number, date, change }: PredictionLeaf,
  facts: ProfileFacts,
  when: When,
): Finding {
  const path = predictionPath(dimension);
  const value = valueFinding(facts.attributes.get(path), number, date !== null, when);
  if (change === null) return value;
  const changed = changeFinding(path, change.withinMs, facts, when);
  return number === null ? changed : { ...value, text: changed.text };
}

function changeFinding(path: string, withinMs: number, facts: ProfileFacts, { at }: When): Finding {
  const points = facts.predictions.get(path) ?? [];
  const [now, then] = [valueAt(points, at), valueAt(points, at - withinMs)];
  const text = `${now ?? 'no value'} now, ${then ?? 'no value'} ${durationWords(withinMs)} ago`;
  return { text, actual: now === null || then === null ? null : roundToMicros(now - then), missing: null };
}

function consentFinding({ channel }: ConsentCriterion, facts: ProfileFacts, { at }: When): Finding {
  const consent = facts.consents.get(channel);
  if (!consent) return { text: 'none recorded', actual: null, missing: null };
  const source = consent.source === null ? '' : `, source ${JSON.stringify(consent.source)}`;
  const text = `${STATUS_WORDS[consent.status]}, ${awayText(consent.time, at)}${source}`;
  return { text, actual: consent.status, missing: null };
}

function nearFinding(leaf: NearCriterion, facts: ProfileFacts): Finding {
  const latitude = facts.attributes.get('location.latitude');
  const longitude = facts.attributes.get('location.longitude');
  if (typeof latitude !== 'number' || typeof longitude !== 'number' || !isPlace(latitude, longitude)) {
    return { text: 'no place', actual: null, missing: null };
  }
  const km = distanceKm(leaf, { latitude, longitude });
  const actual = leaf.unit === 'MILES' ? km / KM_PER_MILE : km;
  const is: NumberFilter = { op: leaf.beyond ? 'moreThan' : 'atMost', value: leaf.within };
  const text = `${distanceWords(Number(actual.toPrecision(4)), leaf.unit)} away`;
  return { text, actual: roundToMicros(actual), missing: missingTo(is, actual) };
}

/** "31 days ago", "in 2 hours". */
function awayText(t: number, at: number): string {
  const away = Math.abs(t - at);
  const unit = [86_400_000, 3_600_000, 60_000, 1_000].find((each) => away >= each) ?? 1;
  const words = durationWords(Math.floor(away / unit) * unit);
  return t <= at ? `${words} ago` : `in ${words}`;
}

/** To six decimals, like sums: 100 less 99.6 is 0.4. What is less than that is left as it is, since 0 means none. */
function missingTo(is: NumberFilter, value: number): number | null {
  const missing = differenceTo(is, value);
  return missing === null ? null : roundToMicros(missing) || missing;
}

function differenceTo(is: NumberFilter, value: number): number | null {
  switch (is.op) {
    case 'equals':
      return is.value - value;
    case 'notEquals':
      return value === is.value ? null : 0;
    case 'moreThan':
    case 'atLeast':
      return Math.max(0, is.value - value);
    case 'lessThan':
    case 'atMost':
      return Math.min(0, is.value - value);
    case 'between':
      return value < is.from ? is.from - value : Math.min(0, is.to - value);
  }
}
