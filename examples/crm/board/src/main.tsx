import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { BoardPage } from './board-page.tsx';
import { type Config, loadConfig, type Person, personFromUrl, urlOf } from './session.ts';
import { SignIn } from './sign-in.tsx';
import './styles/base.css';
import './styles/board.css';
import './styles/card.css';
import './styles/panels.css';

function App({ config }: { readonly config: Config }) {
  const [person, setPerson] = useState(() => personFromUrl(config.people));
  useEffect(() => {
    const back = (): void => setPerson(personFromUrl(config.people));
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, [config]);
  useEffect(() => {
    document.title = person ? `Deals · ${person.company}` : 'Deals · Sign in';
  }, [person]);
  const choose = (next: Person | null): void => {
    history.pushState(null, '', urlOf(next));
    setPerson(next);
  };
  if (!person) return <SignIn people={config.people} onChoose={choose} />;
  // A key of its own for each person: nothing of one tenant's board may survive into another's.
  return <BoardPage key={person.id} person={person} config={config} onLeave={() => choose(null)} />;
}

const root = createRoot(document.getElementById('root') ?? document.body);
try {
  root.render(<App config={await loadConfig()} />);
} catch (error) {
  root.render(
    <main className="notice">
      <h1>The board cannot start</h1>
      <p role="alert">{error instanceof Error ? error.message : String(error)}</p>
    </main>,
  );
}
