/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call */
import { describe, expect, it } from 'vitest';
import { CREATE, evaluated, eventually, stream, UPSERT, useApi } from './support.ts';

const start = useApi();

const CONSENT = `mutation ($changes: [ConsentChangeInput!]!) {
  consentUpdate(changes: $changes) { accepted receipt userErrors { index field code message } }
}`;
const DAY = 86_400_000;
const iso = (at: number) => new Date(at).toISOString();

/** Changes of one person's e-mail consent, waited for. */
async function tell(externalId: string, ...changes: object[]): Promise<void> {
  const api = start();
  const answer = await api.gql(CONSENT, {
    changes: changes.map((change) => ({ identifiers: { externalId }, channel: 'EMAIL', ...change })),
  });
  expect(answer.data.consentUpdate).toMatchObject({ accepted: changes.length, userErrors: [] });
  await evaluated(api, answer.data.consentUpdate.receipt as string);
}

async function consentsOf(externalId: string): Promise<unknown> {
  const { data } = await start().gql(
    `{ profile(by: { externalId: "${externalId}" }) { consents { channel status at source } } }`,
  );
  return data.profile.consents;
}

/** The externalIds of those who satisfy a condition now. */
async function satisfying(consent: object): Promise<string[]> {
  const { data } = await start().gql(
    'query ($where: ConditionInput!) { audience(where: $where) { members(first: 100) { nodes { externalId } } } }',
    { where: { consent } },
  );
  return data.audience.members.nodes.map((node: { externalId: string }) => node.externalId).sort();
}

describe('consents', () => {
  it('shows the newest consent of each channel, whatever the order of arrival', async () => {
    const now = Date.now();
    const early = { status: 'SUBSCRIBED', at: iso(now - 2 * DAY), source: 'early' };
    const late = { status: 'UNSUBSCRIBED', at: iso(now - DAY), source: 'late' };
    const newest = [{ channel: 'EMAIL', ...late }];
    await tell('in order', early, late);
    expect(await consentsOf('in order')).toEqual(newest);
    await tell('late arrival', late);
    await tell('late arrival', early);
    expect(await consentsOf('late arrival')).toEqual(newest);
    await tell('late arrival', { channel: 'SMS', status: 'SUBSCRIBED', at: iso(now - 3 * DAY) });
    expect(await consentsOf('late arrival')).toEqual([
      ...newest,
      { channel: 'SMS', status: 'SUBSCRIBED', at: iso(now - 3 * DAY), source: null },
    ]);
    await start().gql(UPSERT, { profiles: [{ identifiers: { externalId: 'silent' } }] });
  });

  it('decides for the more cautious of two consents of the same time, in either order', async () => {
    const at = iso(Date.now() - DAY);
    const statuses = ['SUBSCRIBED', 'NEVER_SUBSCRIBED', 'UNSUBSCRIBED'];
    await tell('upwards', ...statuses.map((status) => ({ status, at })));
    await tell('downwards', ...statuses.reverse().map((status) => ({ status, at })));
    const cautious = [{ channel: 'EMAIL', status: 'UNSUBSCRIBED', at, source: null }];
    expect([await consentsOf('upwards'), await consentsOf('downwards')]).toEqual([cautious, cautious]);
  });

  it('takes a consent as of its arrival by default, and when the clock of the sender is a little ahead', async () => {
    const before = Date.now();
    await tell('by default', { status: 'SUBSCRIBED' });
    await tell('ahead', { status: 'SUBSCRIBED', at: iso(Date.now() + 60_000) });
    const found = [await consentsOf('by default'), await consentsOf('ahead')] as { at: string }[][];
    for (const [consent] of found) {
      expect(Date.parse(consent?.at ?? '')).toBeGreaterThanOrEqual(before);
      expect(Date.parse(consent?.at ?? '')).toBeLessThanOrEqual(Date.now());
    }
  });

  it('keeps the newest consent per channel when people are united', async () => {
    const now = Date.now();
    const [old, young] = [iso(now - 9 * DAY), iso(now - 8 * DAY)];
    await tell('kept', { status: 'SUBSCRIBED', at: young, source: 'kept' });
    await tell('kept', { channel: 'SMS', status: 'SUBSCRIBED', at: old, source: 'kept' });
    const other = { email: 'other@example.com' };
    const sent = await start().gql(CONSENT, {
      changes: [
        { identifiers: other, channel: 'EMAIL', status: 'UNSUBSCRIBED', at: old, source: 'other' },
        { identifiers: other, channel: 'SMS', status: 'UNSUBSCRIBED', at: young, source: 'other' },
        { identifiers: other, channel: 'PUSH', status: 'SUBSCRIBED', at: old, source: 'other' },
      ],
    });
    await evaluated(start(), sent.data.consentUpdate.receipt as string);
    expect(await satisfying({ channel: 'SMS', status: ['SUBSCRIBED'], source: { equals: 'kept' } })).toEqual([
      'kept',
    ]);
    const united = await start().gql(UPSERT, {
      profiles: [{ identifiers: { externalId: 'kept', ...other } }],
    });
    await evaluated(start(), united.data.profilesUpsert.receipt as string);
    expect(await consentsOf('kept')).toEqual([
      { channel: 'EMAIL', status: 'SUBSCRIBED', at: young, source: 'kept' },
      { channel: 'PUSH', status: 'SUBSCRIBED', at: old, source: 'other' },
      { channel: 'SMS', status: 'UNSUBSCRIBED', at: young, source: 'other' },
    ]);
    expect(await satisfying({ channel: 'SMS', status: ['SUBSCRIBED'], source: { equals: 'kept' } })).toEqual(
      [],
    );
    expect(await satisfying({ channel: 'PUSH', canReceive: true })).toEqual(['kept']);
  });

  it('answers each part of the condition from one and the same consent', async () => {
    const at = Date.now() - 5 * DAY;
    const all = { status: ['SUBSCRIBED'], since: { last: 'P6D' }, source: { startsWith: 'shop' } };
    await tell(
      'agreed',
      { channel: 'SMS', status: 'SUBSCRIBED', at: iso(at), source: 'shop' },
      { channel: 'SMS', status: 'UNSUBSCRIBED', at: iso(at - 2 * DAY), source: 'app' },
    );
    await tell('left', { channel: 'SMS', status: 'UNSUBSCRIBED', at: iso(at), source: 'shop' });
    await tell('long ago', { channel: 'SMS', status: 'SUBSCRIBED', at: iso(at - 2 * DAY), source: 'shop' });
    await tell('elsewhere', { channel: 'SMS', status: 'SUBSCRIBED', at: iso(at), source: 'app' });
    expect(await satisfying({ channel: 'SMS', ...all })).toEqual(['agreed']);
    expect(await satisfying({ channel: 'SMS', status: ['NEVER_SUBSCRIBED'] })).toContain('silent');
  });

  it('moves members with cause CONSENT, and at the very instant at which a window ends with cause TIME', async () => {
    const api = start();
    const condition = { consent: { channel: 'PUSH', status: ['SUBSCRIBED'], since: { last: 'P1D' } } };
    const made = await api.gql(CREATE, { input: { name: 'Fresh', condition } });
    expect(made.data.segmentCreate.userErrors).toEqual([]);
    const { id } = made.data.segmentCreate.segment as { id: string };
    await eventually(
      async () => (await api.gql('query ($id: ID!) { segment(id: $id) { status } }', { id })).data.segment,
      ({ status }) => status === 'LIVE',
    );
    const changes = stream(
      api.socket(),
      'subscription ($ids: [ID!]) { membershipChanges(segments: $ids, after: null) { kind cause at } }',
      { ids: [id] },
    );
    const next = async () => (await changes.next()).value.membershipChanges;
    const first = next();
    // The subscription has to be there before what it is to see.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const at = Date.now() - DAY + 4_000;
    await tell('fleeting', { channel: 'PUSH', status: 'SUBSCRIBED', at: iso(at) });
    expect(await first).toMatchObject({ kind: 'ENTERED', cause: 'CONSENT' });
    expect(await next()).toEqual({ kind: 'EXITED', cause: 'TIME', at: iso(at + DAY) });
    const later = next();
    await tell('fleeting', { channel: 'PUSH', status: 'SUBSCRIBED' });
    expect(await later).toMatchObject({ kind: 'ENTERED', cause: 'CONSENT' });
    const last = next();
    await tell('fleeting', { channel: 'PUSH', status: 'UNSUBSCRIBED' });
    expect(await last).toMatchObject({ kind: 'EXITED', cause: 'CONSENT' });
    await changes.return(undefined);
  });

  it('names each invalid item by its index, field and remedy, and takes the others', async () => {
    const api = start();
    const other = await api.otherAccount();
    const theirs = await api.gql(
      UPSERT,
      { profiles: [{ identifiers: { externalId: 'x' } }] },
      {
        key: other.admin,
      },
    );
    await evaluatedBy(other.admin, theirs.data.profilesUpsert.receipt as string);
    const found = await api.gql('{ profile(by: { externalId: "x" }) { id } }', {}, { key: other.admin });
    const good = { identifiers: { externalId: 'good' }, channel: 'EMAIL', status: 'SUBSCRIBED' };
    const bad: [object, string[], string][] = [
      [{ ...good, identifiers: {} }, ['identifiers'], 'REQUIRED'],
      [{ ...good, identifiers: { email: 'no address' } }, ['identifiers', 'email'], 'INVALID'],
      [{ ...good, identifiers: { id: found.data.profile.id } }, ['identifiers', 'id'], 'NOT_FOUND'],
      [{ ...good, identifiers: { id: 'nonsense' } }, ['identifiers', 'id'], 'NOT_FOUND'],
      [{ ...good, identifiers: { externalId: 'a\0' } }, ['identifiers', 'externalId'], 'INVALID'],
      [{ ...good, at: '9999-12-31T23:59:59Z' }, ['at'], 'INVALID'],
      [{ ...good, at: '0001-01-01T00:00:00Z' }, ['at'], 'INVALID'],
      [{ ...good, at: iso(Date.now() + 10 * 60_000) }, ['at'], 'INVALID'],
      [{ ...good, source: 'a\0b' }, ['source'], 'INVALID'],
      [{ ...good, source: '\udfff' }, ['source'], 'INVALID'],
      [{ ...good, source: '' }, ['source'], 'REQUIRED'],
      [{ ...good, source: 'x'.repeat(256) }, ['source'], 'TOO_LONG'],
    ];
    const { data } = await api.gql(CONSENT, { changes: [good, ...bad.map(([item]) => item), good] });
    expect(data.consentUpdate.accepted).toBe(2);
    expect(data.consentUpdate.userErrors).toMatchObject(
      bad.map(([, field, code], i) => ({ index: i + 1, field, code })),
    );
    expect(data.consentUpdate.userErrors[5].message).toBe(
      'at must lie between 1970 and the present; leave it out for the present',
    );
    await evaluated(api, data.consentUpdate.receipt as string);
    expect(await consentsOf('good')).toHaveLength(1);
  });

  it('refuses 1,001 items, unknown channels and statuses, and keys without the scope, as a whole', async () => {
    const api = start();
    const change = { identifiers: { externalId: 'nobody' }, channel: 'EMAIL', status: 'SUBSCRIBED' };
    const many = await api.gql(CONSENT, { changes: Array.from({ length: 1_001 }, () => change) });
    expect(many.data.consentUpdate).toMatchObject({
      accepted: 0,
      receipt: null,
      userErrors: [{ index: null, field: ['changes'], code: 'TOO_MANY' }],
    });
    for (const wrong of [{ channel: 'FAX' }, { status: 'MAYBE' }, { at: 'yesterday' }, { sauce: 'x' }]) {
      const answer = await api.gql(CONSENT, { changes: [{ ...change, ...wrong }] });
      expect([wrong, answer.status, answer.errors?.length]).toEqual([wrong, 400, 1]);
    }
    const reader = await api.gql(CONSENT, { changes: [change] }, { key: await api.key('READ') });
    expect(reader.status).toBe(403);
    expect((await api.gql('{ profile(by: { externalId: "nobody" }) { id } }')).data.profile).toBeNull();
  });

  it('keeps the consents of accounts apart', async () => {
    const api = start();
    const other = await api.otherAccount();
    const changes = [{ identifiers: { externalId: 'theirs' }, channel: 'EMAIL', status: 'SUBSCRIBED' }];
    const sent = await api.gql(CONSENT, { changes }, { key: other.admin });
    await evaluatedBy(other.admin, sent.data.consentUpdate.receipt as string);
    expect(await satisfying({ channel: 'EMAIL', status: ['SUBSCRIBED'] })).not.toContain('theirs');
    expect((await api.gql('{ profile(by: { externalId: "theirs" }) { id } }')).data.profile).toBeNull();
  });
});

async function evaluatedBy(key: string, token: string): Promise<void> {
  const { data } = await start().gql(
    'query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached } }',
    { token },
    { key },
  );
  expect(data.receipt.reached).toBe(true);
}
