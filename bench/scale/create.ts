/** `create`: from segmentCreate to LIVE, over tens of millions of profiles, beside the bare scan. */
import { describeMachine } from '../lib/machine.ts';
import type { Outcome } from '../lib/report.ts';
import { round } from '../lib/stats.ts';
import { measureCreation } from './ask.ts';
import { all, any, consent, event, trait, type Asked } from './conditions.ts';
import { makeScaleData, SHOP, type ScaleAccount } from './data.ts';
import { withRig, type Rig } from './rig.ts';

export interface ScaleOptions {
  profiles: number;
  events: number;
  runs: number;
}

export async function runCreate({ runs, ...size }: ScaleOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withRig(async (rig) => {
    console.log(`Making ${size.profiles} profiles and ${size.events} events …`);
    const begun = performance.now();
    const owner = await makeScaleData(rig, rig.account, { ...size, ...SHOP }, rig.folder);
    const dataSeconds = round((performance.now() - begun) / 1000, 1);
    console.log(`${owner.events} events in ${dataSeconds} s`);
    const { once, mixed, twenty, faults } = await measureCreate(rig, owner, runs);
    return {
      name: 'create',
      machine,
      parameters: { ...size, runs, dataSeconds, rows: owner.events },
      lines: [
        { label: 'once.seconds', value: once.seconds, unit: 's', bar: 1.5 },
        { label: 'once.scanSeconds', value: once.scanSeconds, unit: 's' },
        { label: 'once, of the scan', value: round(once.seconds / once.scanSeconds, 2), unit: '×', bar: 2 },
        { label: 'mixed.seconds', value: mixed.seconds, unit: 's', bar: 6 },
        { label: 'mixed.scanSeconds', value: mixed.scanSeconds, unit: 's' },
        { label: 'twenty.seconds', value: twenty.seconds, unit: 's', bar: 30 },
        { label: 'twenty.scanSeconds', value: twenty.scanSeconds, unit: 's' },
        { label: 'twenty.peakBytes', value: twenty.peakBytes ?? '-', unit: 'bytes', bar: 8 * 2 ** 30 },
      ],
      figures: { once, mixed, twenty },
      faults,
    };
  });
}

export async function measureCreate(rig: Rig, owner: ScaleAccount, runs: number) {
  const once = await measureCreation(rig, 'once', event(owner, 'Viewed Product', { days: 30 }), runs);
  const mixed = await measureCreation(rig, 'mixed', mixedOf(owner), runs);
  const twenty = await measureCreation(rig, 'twenty', twentyOf(owner), runs);
  const faults = [once, mixed, twenty].flatMap((one) => one.faults);
  return { once, mixed, twenty, faults };
}

/** At least 3 in 30 days, and no order in 60, and property = x. */
export function mixedOf(owner: ScaleAccount): Asked {
  return all(
    event(owner, 'Viewed Product', { days: 30, atLeast: 3 }),
    event(owner, 'Placed Order', { days: 60, none: true }),
    trait(owner, 'properties.plan', 'text', 'pro'),
  );
}

/** Events, sums, categories, properties and consents, in pairs. */
export function twentyOf(owner: ScaleAccount): Asked {
  const [view, open, click, order] = ['Viewed Product', 'Opened Email', 'Clicked Email', 'Placed Order'];
  return any(
    all(event(owner, view, { days: 7 }), event(owner, order, { days: 30, none: true })),
    all(event(owner, view, { days: 30, atLeast: 3 }), trait(owner, 'properties.plan', 'text', 'pro')),
    all(event(owner, view, { atLeast: 10 }), consent(owner, 'SUBSCRIBED')),
    all(event(owner, open, { days: 14 }), event(owner, click, { days: 14, none: true })),
    all(event(owner, open, { days: 60, atLeast: 5 }), trait(owner, 'location.country', 'text', 'DE')),
    all(event(owner, click, { days: 30 }), event(owner, order, { days: 60, none: true })),
    all(event(owner, order, { sum: 200 }), trait(owner, 'properties.points', 'number', 2_000)),
    all(event(owner, order, { days: 30, sum: 100 }), trait(owner, 'location.country', 'text', 'US')),
    all(event(owner, order, { category: 'shoes' }), consent(owner, 'UNSUBSCRIBED')),
    all(event(owner, order, { days: 60, atLeast: 2 }), trait(owner, 'properties.plan', 'text', 'plus')),
  );
}
