/**
 * The shop: people who browse, fill carts, order, get e-mail and open it. Nothing here knows of Tidemark or of clocks;
 * `step` plays the shop up to an instant and returns what happened.
 *
 * The rhythm: a few people come often, most seldom; visits come in waves (a "day" lasts two minutes); within a visit
 * people pause between clicks, and the further it goes the fewer go on. A newsletter goes out every 40 seconds, and
 * its opens come fast at first and then ever slower, as they do.
 */

export interface ShopEvent {
  metric: string;
  person: number;
  /** Epoch milliseconds. */
  time: number;
  value?: number;
  properties: Record<string, unknown>;
}
export interface PlanChange {
  person: number;
  plan: string;
}
export interface ConsentChange {
  person: number;
  status: 'SUBSCRIBED' | 'UNSUBSCRIBED';
  time: number;
}
export interface ShopStep {
  events: ShopEvent[];
  plans: PlanChange[];
  consents: ConsentChange[];
}

export interface Person {
  externalId: string;
  firstName: string;
  lastName: string;
  location: { city: string; country: string };
  properties: { plan: string };
}

interface Product {
  sku: string;
  name: string;
  category: string;
  price: number;
}

/** What someone does next, and when. */
interface Action {
  at: number;
  run: (at: number, step: ShopStep) => void;
}

const DAY_MS = 120_000;
const NEWSLETTER_MS = 40_000;
/** Visits are so many times rarer than events; measured, with e-mail's part of the events in it. */
const EVENTS_PER_VISIT = 5.8;
/** Opens of one newsletter, for each event a second: a fifth of all events are e-mail's. */
const OPENS_PER_RATE = 8;

const FIRST =
  'Ada Ben Cleo Dan Eva Finn Gwen Hugo Ida Jon Kim Leo Mia Noah Olga Paul Rosa Sam Tess Vera'.split(' ');
const LAST =
  'Adler Brown Costa Dubois Eriksen Fischer Garcia Huang Ito Jones Kaya Lopez Meyer Novak Okafor Petrov'.split(
    ' ',
  );
const PLACES = [
  ['London', 'United Kingdom'],
  ['Leeds', 'United Kingdom'],
  ['Berlin', 'Germany'],
  ['Lyon', 'France'],
  ['Porto', 'Portugal'],
  ['Boston', 'United States'],
] as const;
const CATEGORIES = { Jeans: 69, Shirts: 35, Shoes: 95, Bags: 55, Socks: 9 } as const;

export interface Shop {
  people: Person[];
  /** Everything up to `now` (epoch ms), in order. */
  step: (now: number) => ShopStep;
}

/** `rate`: events a second, on average over a day. `random`: in [0, 1). */
export function createShop(options: {
  people: number;
  rate: number;
  random: () => number;
  now: number;
}): Shop {
  const { rate, random } = options;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const chance = (probability: number) => random() < probability;
  /** Exponential pauses: what makes arrivals look like arrivals. */
  const pause = (meanMs: number) => -Math.log(1 - random()) * meanMs;

  const people = Array.from({ length: options.people }, (_, i) => newPerson(i));
  const products = Object.entries(CATEGORIES).flatMap(([category, price]) =>
    Array.from({ length: 8 }, (_, i): Product => {
      const factor = 0.6 + (i / 8) * 0.9;
      return {
        sku: `${category.slice(0, 2).toUpperCase()}-${i + 1}`,
        name: `${category} No. ${i + 1}`,
        category,
        price: Math.round(price * factor),
      };
    }),
  );
  const queue: Action[] = [];
  const plan = (at: number, run: Action['run']) => push(queue, { at, run });
  let carts = new Map<number, Product[]>();
  let campaign = 0;

  function newPerson(i: number): Person {
    const firstName = pick(FIRST);
    const lastName = pick(LAST);
    const [city, country] = pick(PLACES);
    const externalId = `demo-${String(i + 1).padStart(5, '0')}`;
    const chosen = chance(0.75) ? 'free' : chance(0.7) ? 'plus' : 'pro';
    return { externalId, firstName, lastName, location: { city, country }, properties: { plan: chosen } };
  }

  /** Cubing makes a tenth of the people responsible for half of the visits. */
  const someone = () => Math.floor(random() ** 3 * people.length);

  function nextVisit(after: number): void {
    const wave = 1 + 0.6 * Math.sin((2 * Math.PI * after) / DAY_MS);
    const at = after + pause((1_000 * EVENTS_PER_VISIT) / (rate * wave));
    plan(at, (now, step) => {
      browse(someone(), now, step, 0);
      nextVisit(now);
    });
  }

  function browse(person: number, now: number, step: ShopStep, views: number): void {
    const product = pick(products);
    const { sku, name, category, price } = product;
    step.events.push({
      metric: 'Viewed Product',
      person,
      time: now,
      properties: { sku, name, category, price },
    });
    if (chance(0.2)) plan(now + 800 + pause(2_500), (at, next) => addToCart(person, product, at, next));
    else if (chance(0.84 - views * 0.03)) {
      plan(now + 700 + pause(3_000), (at, next) => browse(person, at, next, views + 1));
    }
  }

  function addToCart(person: number, product: Product, now: number, step: ShopStep): void {
    const cart = [...(carts.get(person) ?? []), product].slice(-6);
    carts.set(person, cart);
    const { sku, name, price } = product;
    step.events.push({
      metric: 'Added to Cart',
      person,
      time: now,
      value: price,
      properties: { sku, name, items: cart.length },
    });
    if (chance(0.45)) plan(now + 1_000 + pause(4_000), (at, next) => checkout(person, at, next));
    else if (chance(0.5)) plan(now + 1_000 + pause(3_000), (at, next) => browse(person, at, next, 3));
  }

  function checkout(person: number, now: number, step: ShopStep): void {
    const cart = carts.get(person) ?? [];
    if (cart.length === 0) return;
    const value = cart.reduce((sum, product) => sum + product.price, 0);
    step.events.push({
      metric: 'Started Checkout',
      person,
      time: now,
      value,
      properties: { items: cart.length },
    });
    if (!chance(0.7)) return;
    plan(now + 1_500 + pause(4_000), (at, next) => order(person, value, cart, at, next));
  }

  function order(person: number, value: number, cart: Product[], now: number, step: ShopStep): void {
    carts.delete(person);
    const items = cart.map((product) => product.sku);
    step.events.push({
      metric: 'Placed Order',
      person,
      time: now,
      value,
      properties: { items, lines: items.length },
    });
    if (chance(0.15)) step.plans.push({ person, plan: chance(0.7) ? 'plus' : 'pro' });
    if (chance(0.2)) step.consents.push({ person, status: 'SUBSCRIBED', time: now });
  }

  function newsletter(now: number): void {
    const name = `Newsletter ${++campaign}`;
    for (let i = 0; i < rate * OPENS_PER_RATE; i++) {
      const person = Math.floor(random() * people.length);
      // Squared: half of the opens within a few seconds, the last a minute later.
      plan(now + random() ** 2 * 60_000, (at, step) => openEmail(person, name, at, step));
    }
    plan(now + NEWSLETTER_MS, newsletter);
  }

  function openEmail(person: number, name: string, now: number, step: ShopStep): void {
    step.events.push({ metric: 'Opened Email', person, time: now, properties: { campaign: name } });
    if (chance(0.02)) step.consents.push({ person, status: 'UNSUBSCRIBED', time: now });
    if (!chance(0.12)) return;
    plan(now + 500 + pause(2_000), (at, next) => {
      next.events.push({ metric: 'Clicked Email', person, time: at, properties: { campaign: name } });
      browse(person, at, next, 1);
    });
  }

  nextVisit(options.now);
  plan(options.now + 5_000, newsletter);

  return {
    people,
    step(now) {
      const step: ShopStep = { events: [], plans: [], consents: [] };
      for (let next = queue[0]; next && next.at <= now; next = queue[0]) {
        pop(queue);
        next.run(next.at, step);
      }
      // Nobody keeps a cart for ever, and this process does not either.
      if (carts.size > 5_000) carts = new Map([...carts].slice(-2_500));
      return step;
    },
  };
}

/** A binary heap by `at`: thousands of people have plans at once. */
function push(heap: Action[], action: Action): void {
  let i = heap.push(action) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (heap[parent]!.at <= action.at) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = action;
}

function pop(heap: Action[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
    if (heap[child]!.at >= last.at) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
}
