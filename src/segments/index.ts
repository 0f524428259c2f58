/** The segment language: what the rest of Tidemark uses of it. */
export type * from './ast.ts';
export { parseDuration, printDuration } from './duration.ts';
export { timeEdges } from './edges.ts';
export { flatten } from './flatten.ts';
export { LIMITS } from './limits.ts';
export { criteriaOf, criterionKey, hashOf, normalise } from './normalise.ts';
export { LARGEST_SUMMAND, microUnits } from './numbers.ts';
export { parseCondition } from './parse.ts';
export type { ConditionError, ConditionErrorCode, ParseResult } from './parse.ts';
export { EVENT_VALUE, PROFILE_PATHS } from './paths.ts';
export { toInput } from './print.ts';
export type { ConditionInput } from './print.ts';
export { evaluate, measureOf } from './reference.ts';
export type { Measured } from './reference.ts';
export { describe } from './text.ts';
export { dependenciesOf } from './touch.ts';
export type { Dependencies } from './touch.ts';
