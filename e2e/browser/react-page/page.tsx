/** The smallest page that uses both hooks; bundled by Vite for the test beside this folder. */
import { createElement, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createLiveClient } from '../../../packages/client/src/index.ts';
import { useClientState, useLiveSubscription } from '../../../packages/client/src/react.ts';

type Data = { readonly dealEvent: { readonly id: string | null } };

const QUERY = 'subscription Deals($after: Cursor) { dealEvent(after: $after) { action id missed cursor } }';

const client = createLiveClient({
  url: new URLSearchParams(location.search).get('ws') ?? '',
  backOff: { firstMs: 5, mostMs: 20 },
  lingerMs: 0,
});

function Page() {
  const [seen, setSeen] = useState('');
  const [skip, setSkip] = useState(false);
  const connection = useClientState(client);
  const { last, state, error } = useLiveSubscription<Data>(client, {
    query: QUERY,
    variables: {},
    skip,
    onEvent: ({ data }) => setSeen((before) => `${before} ${data.dealEvent.id}`),
    onGap: ({ reason }) => setSeen((before) => `${before} gap:${reason}`),
  });
  return createElement(
    'main',
    null,
    createElement('p', { id: 'seen' }, seen),
    createElement('p', { id: 'last' }, last?.data.dealEvent.id ?? ''),
    createElement('p', { id: 'state' }, `${connection.kind} ${state} ${error?.code ?? ''}`),
    createElement('button', { type: 'button', onClick: () => setSkip(!skip) }, 'Toggle'),
  );
}

createRoot(document.getElementById('root') ?? document.body).render(createElement(Page));
