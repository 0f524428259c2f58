/** The input of the segment language. Its rules are checked by src/segments, which gets it as it came. */
import { builder } from './builder.ts';
import {
  DateFilter,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './condition-filters.ts';
import { NearCondition, RegionCondition, SampleCondition } from './condition-places.ts';
import { Channel, ConsentStatus } from './consent.ts';

/** Oneof and nesting are the schema's to check; everything else is unknown here. */
interface ConditionShape {
  all?: ConditionShape[] | null;
  any?: ConditionShape[] | null;
  not?: ConditionShape | null;
  event?: typeof EventCondition.$inferInput | null;
  sequence?: typeof SequenceCondition.$inferInput | null;
  property?: typeof PropertyCondition.$inferInput | null;
  near?: typeof NearCondition.$inferInput | null;
  region?: typeof RegionCondition.$inferInput | null;
  prediction?: typeof PredictionCondition.$inferInput | null;
  sample?: typeof SampleCondition.$inferInput | null;
  consent?: typeof ConsentCondition.$inferInput | null;
  segment?: typeof SegmentCondition.$inferInput | null;
}

const Measure = builder.inputType('MeasureInput', {
  description: 'What is measured over the matching events. Exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    count: t.boolean({ description: 'true: how many events there are.' }),
    sum: t.string({
      description:
        'The sum of a number: "$value" for the value of the event, or the path of a property. What is not a number adds nothing.',
    }),
    average: t.string({
      description: 'The average of a number, named as in `sum`. Without any number, no filter holds.',
    }),
    min: t.string({
      description: 'The smallest number, named as in `sum`. Without any number, no filter holds.',
    }),
    max: t.string({
      description: 'The largest number, named as in `sum`. Without any number, no filter holds.',
    }),
    distinct: t.string({
      description:
        'How many different values there are of a property, or of "$value". The elements of a list count one by one.',
    }),
    days: t.boolean({ description: "true: on how many different days of the account's calendar." }),
  }),
});

const EventCondition = builder.inputType('EventConditionInput', {
  description:
    'What someone has done: a measure over their events of one metric, in a window, compared with a number. By default: at least once, ever.',
  fields: (t) => ({
    metric: t.string({
      required: true,
      description: 'The name of the metric, exactly as it was sent: "Placed Order".',
    }),
    where: t.field({
      type: [PropertyFilter],
      description: 'Only events that satisfy all of these are measured.',
    }),
    measure: t.field({ type: Measure, description: 'What is measured. Default: the count.' }),
    is: t.field({
      type: NumberFilter,
      description:
        'What the measure must be. Default: at least 1. A count of 0 includes those without any event.',
    }),
    within: t.field({ type: TimeWindow, description: 'When the events happened. Default: ever.' }),
  }),
});

const SequenceStep = builder.inputType('SequenceStepInput', {
  description: 'An event that must happen in its place, or, negated, must not.',
  fields: (t) => ({
    metric: t.string({
      required: true,
      description: 'The name of the metric, exactly as it was sent: "Placed Order".',
    }),
    where: t.field({ type: [PropertyFilter], description: 'Only events that satisfy all of these count.' }),
    negate: t.boolean({
      description:
        'true: no such event strictly between the events of the steps before and after. As the first step: none before the first event. As the last step: none after the last event.',
      defaultValue: false,
    }),
  }),
});

const SequenceCondition = builder.inputType('SequenceConditionInput', {
  description:
    'What someone has done in an order: an event for each step, each strictly later than the one before.',
  fields: (t) => ({
    steps: t.field({
      type: [SequenceStep],
      required: true,
      description: 'At least two, in their order. At least one is not negated.',
    }),
    completeWithin: t.field({
      type: 'Duration',
      description:
        'The longest time from the first event to the last. With a negated last step: how long after the first event that step must not have happened, and who is still within that time is not counted yet. Default: any time.',
    }),
    within: t.field({
      type: TimeWindow,
      description: 'When all of the events happened, negated ones too. Default: ever.',
    }),
  }),
});

const PropertyCondition = builder.inputType('PropertyConditionInput', {
  description: 'A fact about the profile itself.',
  fields: (t) => ({
    path: t.string({
      required: true,
      description: 'Which: "email", "firstName", "location.city", "properties.plan".',
    }),
    filter: t.field({ type: ValueFilter, required: true, description: 'What its value must be.' }),
  }),
});

const PredictionCondition = builder.inputType('PredictionConditionInput', {
  description:
    'What is predicted of someone: a property under `$predictions`, such as `$predictions.churnRisk`.',
  fields: (t) => ({
    dimension: t.field({ type: PredictionDimension, required: true, description: 'Which prediction.' }),
    number: t.field({ type: NumberFilter, description: 'What the prediction must be now.' }),
    date: t.field({ type: DateFilter, description: 'What the date must be, of EXPECTED_NEXT_ORDER only.' }),
    change: t.field({
      type: PredictionChange,
      description: 'How the prediction must have changed. Not of EXPECTED_NEXT_ORDER.',
    }),
  }),
});

const PredictionChange = builder.inputType('PredictionChangeInput', {
  description:
    'The value now, less the value that was in force some time ago. Without a value at either instant there is no change.',
  fields: (t) => ({
    by: t.float({
      required: true,
      description: 'How much at least: above zero for a rise, below zero for a fall.',
    }),
    within: t.field({ type: 'Duration', required: true, description: 'How long ago.' }),
  }),
});

const PredictionDimension = builder.enumType('PredictionDimension', {
  description: 'Predictions, each kept in the property that is named.',
  values: {
    EXPECTED_NEXT_ORDER: { description: '`$predictions.expectedNextOrderAt`, a date' },
    PREDICTED_LIFETIME_VALUE: { description: '`$predictions.predictedLifetimeValue`' },
    HISTORIC_LIFETIME_VALUE: { description: '`$predictions.historicLifetimeValue`' },
    CHURN_RISK: { description: '`$predictions.churnRisk`' },
    AVERAGE_DAYS_BETWEEN_ORDERS: { description: '`$predictions.averageDaysBetweenOrders`' },
  },
});

const ConsentCondition = builder.inputType('ConsentConditionInput', {
  description:
    'What someone has said about messages by a channel: the newest consent, of which all that is given must hold. Who has said nothing is NEVER_SUBSCRIBED.',
  fields: (t) => ({
    channel: t.field({ type: Channel, required: true, description: 'The channel.' }),
    status: t.field({ type: [ConsentStatus], description: 'Any of these.' }),
    canReceive: t.boolean({
      description:
        'Whether messages may be sent. By e-mail: there is an address and nobody has unsubscribed. By SMS: there is a number and a subscription. By push: there is a subscription.',
    }),
    since: t.field({
      type: TimeWindow,
      description: 'When it was said. Holds only for a consent that was recorded.',
    }),
    source: t.field({
      type: TextFilter,
      description: 'Where it was said. Holds only for one that has a source.',
    }),
  }),
});

const SegmentCondition = builder.inputType('SegmentConditionInput', {
  description:
    'Whether someone is a member of another segment. It means what the condition of that segment means at this moment: when that one changes, this one follows at once.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The segment, one of this account.' }),
    member: t.boolean({ defaultValue: true, description: 'false: everyone else.' }),
  }),
});

export const Condition = builder.inputRef<ConditionShape, false>('ConditionInput').implement({
  description:
    'A rule that a profile satisfies or not. Exactly one field. `all`, `any` and `not` nest, down to the limits in the documentation of the language.',
  isOneOf: true,
  fields: (t) => ({
    all: t.field({ type: [Condition], description: 'Every one of these.' }),
    any: t.field({ type: [Condition], description: 'At least one of these.' }),
    not: t.field({ type: Condition, description: 'Everyone else.' }),
    event: t.field({ type: EventCondition, description: 'What someone has, or has not, done.' }),
    sequence: t.field({ type: SequenceCondition, description: 'What someone has done in an order.' }),
    property: t.field({ type: PropertyCondition, description: 'What someone is.' }),
    near: t.field({ type: NearCondition, description: 'How far someone is from a place.' }),
    region: t.field({
      type: RegionCondition,
      description: 'Whether someone is in one of a group of countries.',
    }),
    prediction: t.field({ type: PredictionCondition, description: 'What is predicted of someone.' }),
    sample: t.field({ type: SampleCondition, description: 'Whether someone is in a random sample.' }),
    consent: t.field({ type: ConsentCondition, description: 'Which messages someone agrees to.' }),
    segment: t.field({ type: SegmentCondition, description: 'Whether someone is in another segment.' }),
  }),
});
