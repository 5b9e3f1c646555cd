import { Avatar } from './avatar.tsx';
import { Mark } from './mark.tsx';
import { type Person, urlOf } from './session.ts';

/** Pick who you are: links, so that another tab can be opened as somebody else. */
export function SignIn({ people, onChoose }: { readonly people: readonly Person[]; readonly onChoose: (person: Person) => void }) {
  const companies = [...new Set(people.map((person) => person.company))];
  return (
    <main className="sign-in">
      <header>
        <Mark />
        <h1>Who are you today?</h1>
        <p>
          Three companies, one system. Open two tabs as colleagues and they share a board; a third from another company sees none of it.
        </p>
      </header>
      <div className="companies">
        {companies.map((company) => (
          <section key={company} aria-label={company}>
            <h2>{company}</h2>
            <ul>
              {people
                .filter((person) => person.company === company)
                .map((person) => (
                  <li key={person.id}>
                    <a
                      href={urlOf(person)}
                      onClick={(event) => {
                        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                        event.preventDefault();
                        onChoose(person);
                      }}
                    >
                      <Avatar name={person.name} />
                      <span>
                        <strong>{person.name}</strong>
                        <small>{person.jobTitle}</small>
                      </span>
                    </a>
                  </li>
                ))}
            </ul>
          </section>
        ))}
      </div>
    </main>
  );
}
