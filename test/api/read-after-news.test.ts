/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment */
import { expect, it } from 'vitest';
import { CREATE, eventually, INGEST, stream, useApi } from './support.ts';

const start = useApi();

/** News travel ahead of ClickHouse, where most of this lies. */
const LOOK = `query ($id: ID!, $profile: ProfileSelector!, $where: ConditionInput!) {
  segment(id: $id) { count contains(profile: $profile) members(first: 100) { totalCount } }
  profile(by: $profile) {
    lastEventAt
    segments(first: 10) { nodes { id } }
    events(first: 10) { nodes { metric { name } } }
  }
  audience(where: $where) { count }
  membershipLog(first: 100) { changes { profileId segment { id } } }
}`;

it('whoever is told of an entry finds it, and the event that brought it, in whatever is asked next', async () => {
  const api = start();
  const where = { event: { metric: 'Told', is: { atLeast: 1 } } };
  const created = await api.gql(CREATE, { input: { name: 'Told', condition: where } });
  const id = created.data.segmentCreate.segment.id as string;
  await eventually(
    () => api.gql('query ($id: ID!) { segment(id: $id) { status } }', { id }),
    (answer) => answer.data.segment.status === 'LIVE',
  );
  const { data } = await api.gql('{ position }');
  const changes = stream(
    api.socket(),
    `subscription ($after: Position, $segments: [ID!]) {
      membershipChanges(after: $after, segments: $segments) { kind profileId event { uniqueId } }
    }`,
    { after: data.position, segments: [id] },
  );
  for (let n = 1; n <= 20; n++) {
    const next = changes.next();
    const profile = { externalId: `told-${n}` };
    await api.gql(INGEST, { events: [{ uniqueId: `told-${n}`, metric: 'Told', profile }] });
    const change = (await next).value.membershipChanges;
    expect(change).toMatchObject({ kind: 'ENTERED', event: { uniqueId: `told-${n}` } });
    const seen = (await api.gql(LOOK, { id, profile, where })).data;
    expect(seen.segment).toEqual({ count: n, contains: true, members: { totalCount: n } });
    expect(seen.profile.segments.nodes).toContainEqual({ id });
    expect(seen.profile.events.nodes).toEqual([{ metric: { name: 'Told' } }]);
    expect(seen.profile.lastEventAt).not.toBeNull();
    expect(seen.audience.count).toBe(n);
    const logged = seen.membershipLog.changes as { profileId: string; segment: { id: string } }[];
    expect(logged.filter(({ segment }) => segment.id === id)).toHaveLength(n);
    expect(logged.at(-1)?.profileId).toBe(change.profileId);
  }
  await changes.return(undefined);
});
