/** The input of conditions on places, and of samples. */
import { builder } from './builder.ts';

export const DistanceUnit = builder.enumType('DistanceUnit', {
  description: 'In what distances are given.',
  values: {
    KILOMETERS: { description: 'Kilometers.' },
    MILES: { description: 'Miles of 1.609344 kilometers.' },
  },
});

export const NearCondition = builder.inputType('NearConditionInput', {
  description:
    "The great-circle distance from a place, given by coordinates or by a postal code, to someone's location.latitude and location.longitude. A profile without both is neither within a distance nor beyond it.",
  fields: (t) => ({
    latitude: t.float({ description: "The place's latitude, from -90 to 90 degrees." }),
    longitude: t.float({ description: "The place's longitude, from -180 to 180 degrees." }),
    postalCode: t.string({
      description: 'Instead of coordinates: the centre of the area with this postal code.',
    }),
    country: t.string({
      description: "The postal code's country, by its two letters (ISO 3166-1). Known are those of the US.",
    }),
    within: t.float({ required: true, description: 'The distance, itself included.' }),
    unit: t.field({
      type: DistanceUnit,
      defaultValue: 'KILOMETERS',
      description: 'The unit of the distance.',
    }),
    beyond: t.boolean({ defaultValue: false, description: 'true: farther away, instead of at most so far.' }),
  }),
});

export const Region = builder.enumType('Region', {
  description: 'Groups of countries.',
  values: {
    EUROPEAN_UNION: { description: 'The 27 member states.' },
    UNITED_STATES: { description: 'The United States of America.' },
  },
});

export const RegionCondition = builder.inputType('RegionConditionInput', {
  description:
    'Whether location.country is in a region, as an ISO code of two or three letters or an English name. A country that is not set is neither inside nor outside.',
  fields: (t) => ({
    region: t.field({ type: Region, required: true, description: 'Which region.' }),
    inside: t.boolean({ defaultValue: true, description: 'false: the country is set and none of these.' }),
  }),
});

export const SampleCondition = builder.inputType('SampleConditionInput', {
  description:
    'A stable random share of all profiles. Whoever is in a sample is in every larger one with the same salt.',
  fields: (t) => ({
    percent: t.float({ required: true, description: 'How large a share, from 0 to 100.' }),
    salt: t.string({
      defaultValue: '',
      description: 'Samples with different salts are independent of one another.',
    }),
  }),
});
