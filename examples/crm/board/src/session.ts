export type Person = {
  readonly id: string;
  readonly name: string;
  readonly jobTitle: string;
  readonly tenant: string;
  readonly company: string;
};

export type Config = { readonly wsUrl: string; readonly graphqlUrl: string; readonly people: readonly Person[] };

export async function loadConfig(): Promise<Config> {
  const response = await fetch('/config.json');
  if (!response.ok) throw new Error(`the board's server answered ${response.status}`);
  return (await response.json()) as Config;
}

/** A development token for a name: this demonstration's stand-in for a real sign-in. */
export async function fetchToken(user: string): Promise<string> {
  const response = await fetch('/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  if (!response.ok) throw new Error(`no token for ${user}: the board's server answered ${response.status}`);
  return ((await response.json()) as { token: string }).token;
}

/** Who `?user=…` names, if anybody. In the URL, so that two tabs can be two people. */
export function personFromUrl(people: readonly Person[]): Person | null {
  const user = new URLSearchParams(location.search).get('user');
  return people.find((person) => person.id === user) ?? null;
}

export function urlOf(person: Person | null): string {
  return person ? `?user=${encodeURIComponent(person.id)}` : location.pathname;
}
