/** The input of the segment language. Its rules are checked by src/segments, which gets it as it came. */
import { builder } from './builder.ts';
import { NearCondition, RegionCondition, SampleCondition } from './condition-places.ts';

/** Oneof and nesting are the schema's to check; everything else is unknown here. */
interface ConditionShape {
  all?: ConditionShape[] | null;
  any?: ConditionShape[] | null;
  not?: ConditionShape | null;
  event?: typeof EventCondition.$inferInput | null;
  property?: typeof PropertyCondition.$inferInput | null;
  near?: typeof NearCondition.$inferInput | null;
  region?: typeof RegionCondition.$inferInput | null;
  prediction?: typeof PredictionCondition.$inferInput | null;
  sample?: typeof SampleCondition.$inferInput | null;
}

const NumberRange = builder.inputType('NumberRangeInput', {
  description: 'A range of numbers, both ends included.',
  fields: (t) => ({
    from: t.float({ required: true, description: 'The smallest number that satisfies.' }),
    to: t.float({ required: true, description: 'The largest number that satisfies.' }),
  }),
});

const NumberFilter = builder.inputType('NumberFilterInput', {
  description: 'What a number must be. Exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    equals: t.float({ description: 'This number.' }),
    notEquals: t.float({ description: 'Any other number.' }),
    moreThan: t.float({ description: 'A larger number.' }),
    atLeast: t.float({ description: 'This number or a larger one.' }),
    lessThan: t.float({ description: 'A smaller number.' }),
    atMost: t.float({ description: 'This number or a smaller one.' }),
    between: t.field({ type: NumberRange, description: 'A number in the range.' }),
  }),
});

const TextFilter = builder.inputType('TextFilterInput', {
  description:
    'What a text must be. Exactly one field. Upper and lower case differ. Only texts satisfy it: a value that is not set satisfies neither `equals` nor `notEquals`.',
  isOneOf: true,
  fields: (t) => ({
    equals: t.string({ description: 'This text.' }),
    notEquals: t.string({ description: 'Any other text.' }),
    in: t.stringList({ description: 'One of these texts.' }),
    notIn: t.stringList({ description: 'A text that is none of these.' }),
    contains: t.string({ description: 'A text with this in it.' }),
    notContains: t.string({ description: 'A text without this in it.' }),
    startsWith: t.string({ description: 'A text that begins with this.' }),
    notStartsWith: t.string({ description: 'A text that begins otherwise.' }),
    endsWith: t.string({ description: 'A text that ends with this.' }),
    notEndsWith: t.string({ description: 'A text that ends otherwise.' }),
    matches: t.string({
      description: 'A text in which this RE2 expression is found, anywhere unless it is anchored.',
    }),
    notMatches: t.string({ description: 'A text in which this RE2 expression is not found.' }),
  }),
});

const ListFilter = builder.inputType('ListFilterInput', {
  description:
    'What a list must be. Exactly one field. Elements are compared whole; one that is no text is compared as its JSON text: 3, true.',
  isOneOf: true,
  fields: (t) => ({
    contains: t.string({ description: 'A list with this element.' }),
    notContains: t.string({ description: 'A list without this element.' }),
    containsAny: t.stringList({ description: 'A list with at least one of these elements.' }),
    containsAll: t.stringList({ description: 'A list with each of these elements.' }),
    containsNone: t.stringList({ description: 'A list with none of these elements.' }),
    length: t.field({
      type: NumberFilter,
      description: 'A list with so many elements, repeated ones included.',
    }),
  }),
});

const ValueFilter = builder.inputType('ValueFilterInput', {
  description:
    'What a value must be. Exactly one field, which also says the type: a text "5" does not satisfy a filter for numbers. A value that is not set satisfies only `exists: false`.',
  isOneOf: true,
  fields: (t) => ({
    text: t.field({ type: TextFilter, description: 'A text that satisfies the filter.' }),
    number: t.field({ type: NumberFilter, description: 'A number that satisfies the filter.' }),
    boolean: t.boolean({ description: 'This boolean.' }),
    list: t.field({ type: ListFilter, description: 'A list that satisfies the filter.' }),
    exists: t.boolean({ description: 'true: the value is set, whatever it is. false: it is not set.' }),
  }),
});

const PropertyFilter = builder.inputType('PropertyFilterInput', {
  description: "A condition on an event's properties.",
  fields: (t) => ({
    path: t.string({
      required: true,
      description: 'The property, inside the properties of the event: "categories", "shipping.method".',
    }),
    filter: t.field({ type: ValueFilter, required: true, description: 'What its value must be.' }),
  }),
});

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

const AgoRange = builder.inputType('AgoRangeInput', {
  description: 'A window between two distances from now: from P5D to P3D is 3 to 5 days ago.',
  fields: (t) => ({
    from: t.field({ type: 'Duration', required: true, description: 'The farther end.' }),
    to: t.field({ type: 'Duration', required: true, description: 'The nearer end.' }),
  }),
});

const DateRange = builder.inputType('DateRangeInput', {
  description: 'A fixed window: from <= time < to. At least one end.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'The first instant inside. Without it: no beginning.' }),
    to: t.field({ type: 'DateTime', description: 'The first instant behind it. Without it: no end.' }),
  }),
});

const TimeWindow = builder.inputType('TimeWindowInput', {
  description:
    'Which time counts. Exactly one field. Windows slide continuously: a profile leaves `last: "P30D"` at the very millisecond at which its event turns 30 days old.',
  isOneOf: true,
  fields: (t) => ({
    last: t.field({ type: 'Duration', description: 'From so long ago until now.' }),
    ago: t.field({ type: AgoRange, description: 'Between two distances from now.' }),
    moreThanAgo: t.field({ type: 'Duration', description: 'Longer ago than this.' }),
    dates: t.field({ type: DateRange, description: 'Between two fixed instants.' }),
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
  }),
});

const PredictionDimension = builder.enumType('PredictionDimension', {
  description: 'Predictions, each kept in the property that is named.',
  values: {
    PREDICTED_LIFETIME_VALUE: { description: '`$predictions.predictedLifetimeValue`' },
    HISTORIC_LIFETIME_VALUE: { description: '`$predictions.historicLifetimeValue`' },
    CHURN_RISK: { description: '`$predictions.churnRisk`' },
    AVERAGE_DAYS_BETWEEN_ORDERS: { description: '`$predictions.averageDaysBetweenOrders`' },
  },
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
    property: t.field({ type: PropertyCondition, description: 'What someone is.' }),
    near: t.field({ type: NearCondition, description: 'How far someone is from a place.' }),
    region: t.field({
      type: RegionCondition,
      description: 'Whether someone is in one of a group of countries.',
    }),
    prediction: t.field({ type: PredictionCondition, description: 'What is predicted of someone.' }),
    sample: t.field({ type: SampleCondition, description: 'Whether someone is in a random sample.' }),
  }),
});
