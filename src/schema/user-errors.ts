import type { UserError as IngestError } from '../resolvers/ingest.ts';
import { builder } from './builder.ts';

const UserErrorCode = builder.enumType('UserErrorCode', {
  description: 'What kind of fault it is, for programs.',
  values: {
    REQUIRED: { description: 'Something is missing or empty.' },
    INVALID: { description: 'The value is not one that can be taken.' },
    TOO_LONG: { description: 'A text has too many characters.' },
    TOO_LARGE: { description: 'An item takes too many bytes.' },
    TOO_MANY: { description: 'There are too many items, properties or levels.' },
    NOT_FOUND: { description: 'An id names nothing in this account.' },
    CONFLICT: { description: 'It contradicts what is there.' },
    CYCLE: { description: 'A segment would depend on itself.' },
    UNSUPPORTED: { description: 'It is meant to work, but does not yet.' },
  } as const,
});

interface QueryPlaceShape {
  line: number;
  column: number;
}

const QueryPlace = builder.objectRef<QueryPlaceShape>('QueryPlace').implement({
  description: 'A place in a typed condition.',
  fields: (t) => ({
    line: t.exposeInt('line', { description: 'The line, from 1 on.' }),
    column: t.exposeInt('column', { description: 'The column, from 1 on, in UTF-16 units.' }),
  }),
});

export const UserError = builder.objectRef<IngestError & { place?: QueryPlaceShape }>('UserError').implement({
  description: 'A fault in what was sent: where, what kind, and what would be right.',
  fields: (t) => ({
    index: t.exposeInt('index', {
      nullable: true,
      description:
        'In a list mutation, the position (from 0) of the item; null when the fault is of the whole call.',
    }),
    field: t.exposeStringList('field', {
      nullable: true,
      description:
        'The path to the field: in a list mutation inside the item, otherwise from the arguments on.',
    }),
    code: t.field({ type: UserErrorCode, description: 'The kind of fault.', resolve: (error) => error.code }),
    message: t.exposeString('message', { description: 'The fault and its remedy, for people.' }),
    place: t.field({
      type: QueryPlace,
      nullable: true,
      description: 'Where the fault is in a typed condition; null for all other faults.',
      resolve: (error) => error.place ?? null,
    }),
  }),
});

export const USER_ERRORS = 'What was wrong with what was sent. Empty: everything was taken.';
