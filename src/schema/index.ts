/** The whole schema: each file adds the types, queries and mutations of one noun. */
import './scalars.ts';
import './account.ts';
import './audience.ts';
import './event.ts';
import './history.ts';
import './ingest.ts';
import './membership.ts';
import './metric.ts';
import './node.ts';
import './overlap.ts';
import './profile.ts';
import './segment.ts';
import { builder } from './builder.ts';

export const schema = builder.toSchema();
