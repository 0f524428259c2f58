import * as resolve from '../resolvers/profiles.ts';
import { encodeId } from '../runtime/global-ids.ts';
import { builder, Node } from './builder.ts';
import { Condition } from './conditions.ts';
import { connectionOf, pageArgs } from './connections.ts';
import { Consent } from './consent.ts';

export const ProfileSelector = builder.inputType('ProfileSelector', {
  description: 'Names one profile. Exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    id: t.id({
      description: 'Its global id. The id of a profile that was merged names the one that is left.',
    }),
    externalId: t.string({ description: 'The id that it has in your system.' }),
    email: t.string({ description: 'Its e-mail address, in upper or lower case.' }),
    phone: t.string({ description: 'Its phone number, with the country code.' }),
    anonymousId: t.string({ description: 'An id from before it was known who it is.' }),
  }),
});

const Location = builder.objectRef<resolve.Location>('Location').implement({
  description: 'Where someone is, as far as it was sent.',
  fields: (t) => ({
    city: t.string({ nullable: true, description: 'The city.', resolve: (at) => at.city ?? null }),
    region: t.string({
      nullable: true,
      description: 'The state or region.',
      resolve: (at) => at.region ?? null,
    }),
    country: t.string({
      nullable: true,
      description: 'The country, as it was sent.',
      resolve: (at) => at.country ?? null,
    }),
    postalCode: t.string({
      nullable: true,
      description: 'The postal code.',
      resolve: (at) => at.postalCode ?? null,
    }),
    latitude: t.float({
      nullable: true,
      description: 'Degrees north.',
      resolve: (at) => at.latitude ?? null,
    }),
    longitude: t.float({
      nullable: true,
      description: 'Degrees east.',
      resolve: (at) => at.longitude ?? null,
    }),
  }),
});

export const Profile = builder.objectRef<resolve.ProfileRow>('Profile').implement({
  description: 'A person, with everything that is known of them.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({
      description: 'The global id.',
      resolve: (row) => encodeId('Profile', row.account, row.number),
    }),
    externalId: t.exposeString('externalId', { nullable: true, description: 'The id in your system.' }),
    email: t.exposeString('email', {
      nullable: true,
      description: 'The latest e-mail address, in lower case.',
    }),
    phone: t.exposeString('phone', { nullable: true, description: 'The latest phone number.' }),
    anonymousIds: t.stringList({
      description: 'All ids from before it was known who it is.',
      resolve: (row, _, ctx) => resolve.anonymousIds(ctx, row),
    }),
    firstName: t.exposeString('firstName', { nullable: true, description: 'The given name.' }),
    lastName: t.exposeString('lastName', { nullable: true, description: 'The family name.' }),
    location: t.field({
      type: Location,
      nullable: true,
      description: 'Where they are; null when nothing is known.',
      resolve: (row) => resolve.location(row),
    }),
    timezone: t.exposeString('timezone', {
      nullable: true,
      description: 'The time zone, such as "Europe/Berlin".',
    }),
    locale: t.exposeString('locale', {
      nullable: true,
      description: 'Language and country, such as "de-DE".',
    }),
    properties: t.field({
      type: 'JSON',
      description: 'All other properties, as they were sent.',
      resolve: (row) => resolve.properties(row),
    }),
    consents: t.field({
      type: [Consent],
      description: 'The newest consent of each channel; a channel without one is left out.',
      resolve: (row) => resolve.consents(row),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was first heard of.',
      resolve: (row) => row.createdAt,
    }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When anything about it last changed. Events do not count.',
      resolve: (row) => row.updatedAt,
    }),
    lastEventAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The time of the latest event that has happened by now; null without any.',
      resolve: (row, _, ctx) => resolve.lastEventAt(ctx, row),
    }),
  }),
});

export const ProfileConnection = connectionOf('Profile', Profile);

builder.queryFields((t) => ({
  profile: t.field({
    type: Profile,
    nullable: true,
    description: 'One profile; null when nobody has that identifier.',
    args: { by: t.arg({ type: ProfileSelector, required: true, description: 'Which one.' }) },
    resolve: (_, args, ctx) => resolve.profile(ctx, args),
  }),
  profiles: t.field({
    type: ProfileConnection,
    description: 'Profiles, in the order in which they were made.',
    args: {
      ...pageArgs,
      where: t.arg({ type: Condition, description: 'Only those that satisfy this condition now.' }),
    },
    resolve: (_, args, ctx) => resolve.profiles(ctx, args),
  }),
}));
