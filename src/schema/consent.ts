import type { ProfileConsent } from '../resolvers/profiles.ts';
import { builder } from './builder.ts';

export const Channel = builder.enumType('Channel', {
  description: 'A way of sending messages to someone.',
  values: {
    EMAIL: { description: 'By e-mail.' },
    SMS: { description: 'By text message to a phone number.' },
    PUSH: { description: 'By push message to a device.' },
  } as const,
});

export const ConsentStatus = builder.enumType('ConsentStatus', {
  description: 'What someone has said about messages by a channel.',
  values: {
    SUBSCRIBED: { description: 'Wants them.' },
    UNSUBSCRIBED: { description: 'Does not want them any more.' },
    NEVER_SUBSCRIBED: { description: 'Has not asked for them.' },
  } as const,
});

export const Consent = builder.objectRef<ProfileConsent>('Consent').implement({
  description: 'The newest consent of a channel, by its own time.',
  fields: (t) => ({
    channel: t.field({ type: Channel, description: 'The channel.', resolve: (consent) => consent.channel }),
    status: t.field({
      type: ConsentStatus,
      description: 'What was said.',
      resolve: (consent) => consent.status,
    }),
    at: t.field({ type: 'DateTime', description: 'When it was said.', resolve: (consent) => consent.time }),
    source: t.exposeString('source', { nullable: true, description: 'Where it was said, as it was sent.' }),
  }),
});
