/** GraphQL itself: what every operation goes through, whichever way it came. */
import { createLRUCache, createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Authenticator, Principal } from '../resolvers/auth.ts';
import { createContext, type Context, type Deps, type Transport } from '../resolvers/context.ts';
import { metrics } from '../runtime/metrics.ts';
import type { ClientErrors } from './client-errors.ts';
import { schema } from './index.ts';
import { useLimits } from './limits.ts';

/** What a transport knows of a request. HTTP finds the key in the request's headers. */
export interface Caller {
  transport: Transport;
  signal: AbortSignal;
  principal?: Principal;
}

export type Yoga = YogaServerInstance<Caller, Context>;

/** Parsed and validated documents that are kept. Each is at most 64 Ki characters. */
const KEPT_DOCUMENTS = 256;

export function createGraphql(deps: Deps, authenticator: Authenticator, toClientError: ClientErrors): Yoga {
  return createYoga<Caller, Context>({
    schema,
    graphqlEndpoint: '/graphql',
    // The pages for people are served beside it.
    graphiql: false,
    landingPage: false,
    batching: false,
    multipart: false,
    logging: false,
    // No cookies, no ambient authority: any page may call, if it has a key.
    cors: { origin: '*', credentials: false, methods: ['GET', 'POST'], maxAge: 86_400 },
    parserAndValidationCache: {
      documentCache: createLRUCache({ max: KEPT_DOCUMENTS }),
      errorCache: createLRUCache({ max: KEPT_DOCUMENTS }),
    },
    maskedErrors: { maskError: (error) => toClientError(error) },
    plugins: [useLimits(), useMeasurements()],
    context: async ({ request, transport, signal, principal }) => {
      // GraphiQL sends the header before anybody has filled it in.
      const header = request?.headers.get('authorization')?.replace(/^Bearer\s*$/i, '') || null;
      return createContext({
        deps,
        authenticator,
        transport,
        signal,
        principal: principal ?? (header === null ? null : await authenticator.authenticate(header)),
      });
    },
  });
}

function useMeasurements(): Plugin<Context> {
  const outcome = (errors: readonly { extensions?: Record<string, unknown> }[] | undefined) => {
    if (!errors?.length) return 'ok';
    const ours = errors.some(({ extensions }) =>
      ['INTERNAL_SERVER_ERROR', 'UNAVAILABLE'].includes(String(extensions?.['code'])),
    );
    return ours ? 'server_error' : 'client_error';
  };
  return {
    onExecute({ args }) {
      const { transport } = args.contextValue;
      const stop = metrics.requestSeconds.startTimer();
      return {
        onExecuteDone({ result }) {
          stop();
          if (!('next' in result)) metrics.requests.inc({ transport, outcome: outcome(result.errors) });
        },
      };
    },
    onSubscribe({ args }) {
      const { transport } = args.contextValue;
      return {
        onSubscribeResult({ result }) {
          const errors = 'errors' in result ? result.errors : undefined;
          metrics.requests.inc({ transport, outcome: outcome(errors) });
        },
      };
    },
  };
}
