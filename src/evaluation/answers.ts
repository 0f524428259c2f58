/** Questions of one partition, answered for many accounts at once: as few statements as there can be. */
import { groupBy } from '../runtime/group-by.ts';
import type { Criterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { differences, openQuestions, type Difference, type Question } from './diff.ts';
import type { Answers, KnownProfiles, NewsAhead } from './known-profiles.ts';
import type { MembershipCache } from './membership-cache.ts';
import type { Scopes } from './scopes.ts';
import { holds, type AskedOf } from './turnings.ts';

export interface Answerer {
  /** Asks, compares with what is stored, and returns the differences at one instant. */
  differences(questions: readonly Question[], instant: number): Promise<Difference[]>;
  /** Truths of the segments' criteria, by account. */
  evaluate(asked: ReadonlyMap<number, AskedOf>): Promise<Map<number, Answers>>;
}

export interface AnswererParts {
  known: KnownProfiles;
  cache: MembershipCache;
  scopes: Scopes;
  ahead: NewsAhead;
  /** Before anything of these accounts is evaluated. */
  useAll: (accounts: Iterable<number>) => Promise<void>;
}

export function createAnswerer({ known, cache, scopes, ahead, useAll }: AnswererParts): Answerer {
  async function evaluate(asked: ReadonlyMap<number, AskedOf>): Promise<Map<number, Answers>> {
    await useAll(asked.keys());
    await scopes.load([...asked.values()].flatMap(({ segments }) => segments));
    const rounds = [...asked].map(([account, { subjects, segments, questions }]) => {
      const criteria = new Map<string, Criterion>();
      for (const segment of segments)
        for (const criterion of segment.criteria) criteria.set(criterionKey(criterion), criterion);
      return { scope: scopes.of(account), subjects, criteria: [...criteria.values()], questions };
    });
    const answers = await known.evaluate(rounds, ahead);
    return new Map(
      rounds.flatMap(({ scope }, i) => {
        const answer = answers[i];
        return answer ? [[scope.account, answer]] : [];
      }),
    );
  }

  async function differencesOf(round: Question[], instant: number): Promise<Difference[]> {
    await cache.load(
      round.map(({ segment: { account, segment }, profile }) => ({ account, segment, profile })),
    );
    const wasMember = ({ segment, profile }: Question) => cache.has(segment.segment, profile);
    // Most events find their profile where they would bring it.
    const asked = openQuestions(round, wasMember);
    if (asked.length === 0) return [];
    const byAccount = groupBy(asked, ({ segment }) => segment.account);
    const answers = await evaluate(
      new Map(
        [...byAccount].map(([account, of]) => {
          const profiles = new Set(of.map(({ profile }) => profile));
          const subjects = [...profiles].map((profile) => ({ profile, instant }));
          const segments = [...new Set(of.map(({ segment }) => segment))];
          const questions = of.reduce((sum, { segment }) => sum + segment.criteria.length, 0);
          return [account, { subjects, segments, questions }];
        }),
      ),
    );
    const isMember = ({ profile, segment }: Question) => {
      const answer = answers.get(segment.account);
      if (!answer) throw new Error(`account ${segment.account} was not evaluated`);
      return !answer.gone(profile) && holds(segment, answer.truths, { profile, instant });
    };
    return [...byAccount.values()].flatMap((of) => differences(of, isMember, wasMember));
  }

  return {
    evaluate,
    async differences(questions, instant) {
      const found: Difference[] = [];
      const segments = new Set(questions.map(({ segment }) => segment));
      const criteria = [...segments].reduce((sum, segment) => sum + segment.criteria.length, 0);
      for (const round of roundsOf(questions, known.perRound(criteria))) {
        for (const difference of await differencesOf(round, instant)) found.push(difference);
      }
      return found;
    },
  };
}

/** Accounts one after the other; all questions about a profile are in one round. */
function* roundsOf(questions: readonly Question[], size: number): Generator<Question[]> {
  const byProfile = groupBy(questions, ({ segment, profile }) => `${segment.account}:${profile}`);
  let round: Question[] = [];
  let profiles = 0;
  for (const of of byProfile.values()) {
    if (profiles === size) {
      yield round;
      round = [];
      profiles = 0;
    }
    for (const question of of) round.push(question);
    profiles += 1;
  }
  if (round.length > 0) yield round;
}
