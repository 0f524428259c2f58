/** What single values and times must be: the parts of conditions. */
import { builder } from './builder.ts';

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

const CalendarPeriod = builder.enumType('CalendarPeriod', {
  description: "A period of the account's calendar. Weeks begin on Monday.",
  values: {
    TODAY: { description: 'The day that it is.' },
    YESTERDAY: { description: 'The day before.' },
    THIS_WEEK: { description: 'The week that it is.' },
    THIS_MONTH: { description: 'The month that it is.' },
    THIS_YEAR: { description: 'The year that it is.' },
    LAST_WEEK: { description: 'The week before.' },
    LAST_MONTH: { description: 'The month before.' },
    LAST_YEAR: { description: 'The year before.' },
  },
});

export const TimeWindow = builder.inputType('TimeWindowInput', {
  description:
    'Which time counts. Exactly one field. Windows slide continuously: a profile leaves `last: "P30D"` at the very millisecond at which its event turns 30 days old.',
  isOneOf: true,
  fields: (t) => ({
    last: t.field({ type: 'Duration', description: 'From so long ago until now.' }),
    ago: t.field({ type: AgoRange, description: 'Between two distances from now.' }),
    moreThanAgo: t.field({ type: 'Duration', description: 'Longer ago than this.' }),
    dates: t.field({ type: DateRange, description: 'Between two fixed instants.' }),
    calendar: t.field({ type: CalendarPeriod, description: "In this period of the account's calendar." }),
  }),
});

const NumberRange = builder.inputType('NumberRangeInput', {
  description: 'A range of numbers, both ends included.',
  fields: (t) => ({
    from: t.float({ required: true, description: 'The smallest number that satisfies.' }),
    to: t.float({ required: true, description: 'The largest number that satisfies.' }),
  }),
});

export const NumberFilter = builder.inputType('NumberFilterInput', {
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

export const TextFilter = builder.inputType('TextFilterInput', {
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
    'What a list must be. Exactly one field. Elements are compared whole, but for `someElement` and `noElement`; one that is no text is compared as its JSON text: 3, true.',
  isOneOf: true,
  fields: (t) => ({
    contains: t.string({ description: 'A list with this element.' }),
    notContains: t.string({ description: 'A list without this element.' }),
    containsAny: t.stringList({ description: 'A list with at least one of these elements.' }),
    containsAll: t.stringList({ description: 'A list with each of these elements.' }),
    containsNone: t.stringList({ description: 'A list with none of these elements.' }),
    someElement: t.field({
      type: TextFilter,
      description: 'A list with at least one element that satisfies this.',
    }),
    noElement: t.field({
      type: TextFilter,
      description:
        'A list in which no element satisfies this; also an empty list, but not one that is not set.',
    }),
    length: t.field({
      type: NumberFilter,
      description: 'A list with so many elements, repeated ones included.',
    }),
  }),
});

const Anniversary = builder.inputType('AnniversaryInput', {
  description:
    "How the day and month of a date lie to today, on the account's calendar. Exactly one field. 29 February is 28 February in other years.",
  isOneOf: true,
  fields: (t) => ({
    today: t.boolean({ description: 'true: it is today.' }),
    last: t.int({ description: 'It is today, or was in the last so many days.' }),
    next: t.int({ description: 'It is in the next so many days, not today.' }),
    thisMonth: t.boolean({ description: 'true: its month is the one that it is now.' }),
  }),
});

export const DateFilter = builder.inputType('DateFilterInput', {
  description:
    "What a date must be. Exactly one field. Dates are texts: a day such as 2026-03-31, which begins at midnight on the account's calendar, or an instant such as 2026-03-31T08:00:00Z.",
  isOneOf: true,
  fields: (t) => ({
    within: t.field({
      type: TimeWindow,
      description: 'A date in the window, which may reach beyond the present.',
    }),
    next: t.field({ type: 'Duration', description: 'A date still to come, at most so far ahead.' }),
    anniversary: t.field({
      type: Anniversary,
      description:
        'A date whose day and month are near today, or whose month is this one, whatever the year.',
    }),
    month: t.int({ description: 'A date in this month, from 1 to 12, whatever the year.' }),
  }),
});

export const ValueFilter = builder.inputType('ValueFilterInput', {
  description:
    'What a value must be. Exactly one field, which also says the type: a text "5" does not satisfy a filter for numbers. A value that is not set satisfies only `exists: false`.',
  isOneOf: true,
  fields: (t) => ({
    text: t.field({ type: TextFilter, description: 'A text that satisfies the filter.' }),
    number: t.field({ type: NumberFilter, description: 'A number that satisfies the filter.' }),
    boolean: t.boolean({ description: 'This boolean.' }),
    date: t.field({ type: DateFilter, description: 'A text that is a date and satisfies the filter.' }),
    list: t.field({ type: ListFilter, description: 'A list that satisfies the filter.' }),
    exists: t.boolean({ description: 'true: the value is set, whatever it is. false: it is not set.' }),
  }),
});

export const PropertyFilter = builder.inputType('PropertyFilterInput', {
  description: "A condition on an event's properties.",
  fields: (t) => ({
    path: t.string({
      required: true,
      description:
        'The property, inside the properties of the event: "categories", "shipping.method". Or "$value" for the value of the event, and "$time" for its time, as an instant for date filters.',
    }),
    filter: t.field({ type: ValueFilter, required: true, description: 'What its value must be.' }),
  }),
});
