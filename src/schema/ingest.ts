import * as resolve from '../resolvers/ingest.ts';
import { builder } from './builder.ts';
import { Channel, ConsentStatus } from './consent.ts';
import { USER_ERRORS, UserError } from './user-errors.ts';

const ProfileIdentifiers = builder.inputType('ProfileIdentifiersInput', {
  description:
    'Says who it is about. At least one is required. Two identifiers in one write say that they are one person; the profile of the strongest (in the order given here) stays.',
  fields: (t) => ({
    id: t.id({ description: 'The global id of a profile.' }),
    externalId: t.string({ description: 'The id in your system, at most 255 characters.' }),
    email: t.string({ description: 'An e-mail address. Upper and lower case are the same.' }),
    phone: t.string({ description: 'A phone number with the country code, such as "+16175550100".' }),
    anonymousId: t.string({
      description: 'An id for someone of whom nothing else is known yet, such as a cookie.',
    }),
  }),
});

const EventInput = builder.inputType('EventInput', {
  description: 'Something that someone did.',
  fields: (t) => ({
    uniqueId: t.string({
      description: "The sender's own id. The same id sent twice, at any time, by any path, is one event.",
    }),
    metric: t.string({ required: true, description: 'What kind of event it is, such as "Placed Order".' }),
    profile: t.field({ type: ProfileIdentifiers, required: true, description: 'Who did it.' }),
    time: t.field({
      type: 'DateTime',
      description: 'When it happened, at most a year ahead. Default: when it arrives.',
    }),
    value: t.float({ description: 'What it was worth.' }),
    currency: t.string({ description: 'The currency of the value: three capital letters (ISO 4217).' }),
    properties: t.field({ type: 'JSON', description: 'An object with everything else that is known of it.' }),
    backfill: t.boolean({
      defaultValue: false,
      description:
        'History: stored and counted by segments, but the membership changes it brings carry cause BACKFILL.',
    }),
  }),
});

const LocationInput = builder.inputType('LocationInput', {
  description: 'Where someone is. An absent field stays as it is, null clears it.',
  fields: (t) => ({
    city: t.string({ description: 'The city.' }),
    region: t.string({ description: 'The state or region.' }),
    country: t.string({ description: 'The country.' }),
    postalCode: t.string({ description: 'The postal code.' }),
    latitude: t.float({ description: 'Degrees north, -90 to 90.' }),
    longitude: t.float({ description: 'Degrees east, -180 to 180.' }),
  }),
});

const ProfileInput = builder.inputType('ProfileInput', {
  description: 'What is known of someone. An absent field stays as it is, null clears it.',
  fields: (t) => ({
    identifiers: t.field({ type: ProfileIdentifiers, required: true, description: 'Who it is about.' }),
    firstName: t.string({ description: 'The given name.' }),
    lastName: t.string({ description: 'The family name.' }),
    timezone: t.string({ description: 'The time zone, such as "Europe/Berlin".' }),
    locale: t.string({ description: 'Language and country, such as "de-DE".' }),
    location: t.field({ type: LocationInput, description: 'Where they are.' }),
    properties: t.field({
      type: 'JSON',
      description: 'Merged key by key into what is there; null removes the key.',
    }),
    append: t.field({
      type: 'JSON',
      description: 'Adds to a list property, without repeats: {"tags": ["new"]}.',
    }),
    remove: t.field({ type: 'JSON', description: 'Takes from a list property: {"tags": ["old"]}.' }),
  }),
});

const ConsentChangeInput = builder.inputType('ConsentChangeInput', {
  description: 'What someone has said about messages by a channel. The newest, by its own time, counts.',
  fields: (t) => ({
    identifiers: t.field({ type: ProfileIdentifiers, required: true, description: 'Who said it.' }),
    channel: t.field({ type: Channel, required: true, description: 'The channel it is about.' }),
    status: t.field({
      type: ConsentStatus,
      required: true,
      description:
        'What was said. Of two at the very same time UNSUBSCRIBED counts, then NEVER_SUBSCRIBED, then SUBSCRIBED.',
    }),
    at: t.field({
      type: 'DateTime',
      description:
        'When it was said; not ahead of the present (up to five minutes, by which clocks may differ, are taken as the present). Default: when it arrives.',
    }),
    source: t.string({ description: 'Where it was said, such as "checkout"; at most 255 characters.' }),
  }),
});

const payload = (name: string, things: string) =>
  builder.objectRef<resolve.Accepted>(name).implement({
    description: `What became of the ${things}.`,
    fields: (t) => ({
      accepted: t.exposeInt('accepted', {
        description: `How many ${things} were accepted: they will not be lost.`,
      }),
      receipt: t.field({
        type: 'Receipt',
        nullable: true,
        description: 'Lets a later read wait for them; null when nothing was accepted.',
        resolve: (result) => result.receipt,
      }),
      userErrors: t.field({
        type: [UserError],
        description: USER_ERRORS,
        resolve: (result) => result.userErrors,
      }),
    }),
  });

const EventsIngestPayload = payload('EventsIngestPayload', 'events');
const ProfilesUpsertPayload = payload('ProfilesUpsertPayload', 'profile writes');
const ConsentUpdatePayload = payload('ConsentUpdatePayload', 'changes');

builder.mutationFields((t) => ({
  eventsIngest: t.field({
    type: EventsIngestPayload,
    authScopes: { anyOf: ['INGEST'] },
    description:
      'Takes events, at most 1,000 a call, in a request of at most 4 MB. Send them in variables: documents are limited to 2,000 tokens. Needs the scope INGEST.',
    args: { events: t.arg({ type: [EventInput], required: true, description: 'What happened.' }) },
    resolve: (_, args, ctx) => resolve.eventsIngest(ctx, args),
  }),
  profilesUpsert: t.field({
    type: ProfilesUpsertPayload,
    authScopes: { anyOf: ['INGEST'] },
    description: 'Makes or changes profiles, at most 1,000 a call. Needs the scope INGEST.',
    args: { profiles: t.arg({ type: [ProfileInput], required: true, description: 'What is known.' }) },
    resolve: (_, args, ctx) => resolve.profilesUpsert(ctx, args),
  }),
  consentUpdate: t.field({
    type: ConsentUpdatePayload,
    authScopes: { anyOf: ['INGEST'] },
    description:
      'Records what people have said about messages, at most 1,000 changes a call. Needs the scope INGEST.',
    args: { changes: t.arg({ type: [ConsentChangeInput], required: true, description: 'What was said.' }) },
    resolve: (_, args, ctx) => resolve.consentUpdate(ctx, args),
  }),
}));

const ReceiptStage = builder.enumType('ReceiptStage', {
  description: 'How far a write has come.',
  values: {
    ACCEPTED: { description: 'It is in the log and will not be lost.' },
    STORED: { description: 'Queries see it.' },
    EVALUATED: { description: 'Segments have taken it into account.' },
  } as const,
});

const ReceiptStatus = builder
  .objectRef<{ reached: boolean; stage: resolve.ReceiptStage }>('ReceiptStatus')
  .implement({
    description: 'How far the write behind a receipt has come.',
    fields: (t) => ({
      reached: t.exposeBoolean('reached', {
        description: 'Whether it reached the stage within the timeout.',
      }),
      stage: t.field({
        type: ReceiptStage,
        description: 'The stage that it has certainly reached.',
        resolve: (status) => status.stage,
      }),
    }),
  });

builder.queryField('receipt', (t) =>
  t.field({
    type: ReceiptStatus,
    // Who may write may also wait for it.
    skipTypeScopes: true,
    authScopes: { anyOf: ['READ', 'INGEST'] },
    description:
      'Waits until the write behind the receipt has reached the stage, or the timeout has passed. Needs the scope READ or INGEST.',
    args: {
      token: t.arg({
        type: 'Receipt',
        required: true,
        description: 'The receipt, from the payload of the write.',
      }),
      stage: t.arg({
        type: ReceiptStage,
        required: true,
        defaultValue: 'EVALUATED',
        description: 'What to wait for.',
      }),
      timeout: t.arg({
        type: 'Duration',
        defaultValue: 'PT5S',
        description: 'How long to wait, at most PT60S.',
      }),
    },
    resolve: (_, args, ctx) => resolve.receipt(ctx, args),
  }),
);
