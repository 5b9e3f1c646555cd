import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';
import { GraphiQL } from 'graphiql';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createFetcher } from './fetcher.ts';

const WELCOME = `# Millrace GraphiQL
#
# Queries, mutations and live subscriptions.
# Live data belongs to a tenant: print a token
#
#   npx millrace token --tenant acme --user ann
#
# and put it under Headers below, as
#
#   { "Authorization": "Bearer …" }
#
# It is sent with queries, and as connection_init
# with subscriptions.

{
  __typename
}
`;

/** A link may bring a query along: /graphql?query=… */
const linked = new URLSearchParams(window.location.search).get('query');

const fetcher = createFetcher(new URL('/graphql', window.location.href));

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <GraphiQL
      fetcher={fetcher}
      defaultQuery={WELCOME}
      {...(linked === null ? {} : { initialQuery: linked })}
      defaultHeaders={'{\n  "Authorization": ""\n}'}
      shouldPersistHeaders={false}
    />
  </StrictMode>,
);
