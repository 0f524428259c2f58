import { describe, expect, it } from 'vitest';
import { dependenciesOf } from '../../src/segments/index.ts';
import type { ProfileChange, ProfileChangeMessage } from '../../src/storage/profile-changes.ts';
import { changesWithTime, mayChange } from '../../src/streaming/audience-counts.ts';
import { parsed } from '../segments/helpers.ts';

const bought = (within?: object) => ({ event: { metric: 'Bought', ...(within && { within }) } });
const gold = { property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } } };
const subscribed = { consent: { channel: 'EMAIL', status: ['SUBSCRIBED'] } };
const member = { segment: { id: 'abc' } };

const changed = (change: Partial<ProfileChange>): ProfileChangeMessage => ({
  kind: 'profiles',
  account: 1,
  changes: [{ profile: 7, cause: 'EVENT', at: 0, ...change }],
});
const merge: ProfileChangeMessage = { kind: 'merge', account: 1, source: 2, target: 1, at: 0 };
const definition: ProfileChangeMessage = { kind: 'definition', account: 1, segment: 1, version: 1 };

describe('an audience is counted again', () => {
  it.each([
    ['an event of its metric', bought(), changed({ metric: 'Bought' }), true],
    ['an event of another metric', bought(), changed({ metric: 'Viewed' }), false],
    ['an attribute that it looks at', gold, changed({ attributes: ['email', 'properties.plan'] }), true],
    ['another attribute', gold, changed({ attributes: ['email'] }), false],
    ['an event, if it looks at attributes only', gold, changed({ metric: 'Bought' }), false],
    ['a new profile, whatever it looks at', { not: gold }, changed({ whole: true }), true],
    ['a profile that is no more', bought(), changed({ gone: true }), true],
    ['a merge, since events move', bought(), merge, true],
    ['a consent of its channel', subscribed, changed({ attributes: ['$consent.EMAIL'] }), true],
    ['a consent of another channel', subscribed, changed({ attributes: ['$consent.SMS'] }), false],
    ['anything, if it looks at segments', member, definition, true],
    ['definitions, if it looks at none', { all: [gold, bought()] }, definition, false],
  ])('after %s: %#', (_what, condition, message, expected) => {
    expect(mayChange(dependenciesOf(parsed(condition)), message)).toBe(expected);
  });

  it.each([
    ['a window', bought({ last: 'P7D' }), true],
    ['no window', bought(), false],
    ['fixed dates', bought({ dates: { from: '2026-01-01T00:00:00Z' } }), false],
    ['a window inside of a tree', { all: [gold, { not: bought({ moreThanAgo: 'P1D' }) }] }, true],
    ['calendar days', bought({ calendar: 'TODAY' }), true],
    ['a property', gold, false],
    ['a date', { property: { path: 'properties.due', filter: { date: { next: 'P7D' } } } }, true],
    ['a consent', subscribed, false],
    ['a consent lately', { consent: { channel: 'EMAIL', since: { last: 'P1D' } } }, true],
    ['members of a segment', member, true],
  ])('while time passes with %s: %#', (_what, condition, expected) => {
    expect(changesWithTime(parsed(condition))).toBe(expected);
  });
});
