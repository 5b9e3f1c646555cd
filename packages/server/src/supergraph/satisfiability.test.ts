import { describe, expect, it } from 'vitest';
import { composeRelease } from './compose.ts';
import { federated, testGraph } from './fixture.ts';

const kinds = `interface Cargo { weight: Int! } interface Sealed implements Cargo { weight: Int! seal: String! }
  type Box implements Cargo & Sealed @shareable { weight: Int! seal: String! } type Crate implements Cargo @shareable { weight: Int! }`;
const harbour = federated(`type Query { ship: Ship } type Ship @key(fields: "id") { id: ID! cargo: Cargo } ${kinds}`);
const customs = federated(`type Query { x: Int } type Ship @key(fields: "id") { id: ID! cargo: Cargo @external
  stamp: String @requires(fields: "cargo { weight ... on Sealed { seal } }") } ${kinds}`);

describe('a @requires with a condition on an interface within an interface', () => {
  it('composes, since the planner has a way to it', async () => {
    const graph = await testGraph({
      harbour: {
        sdl: harbour,
        resolvers: { Query: { ship: () => ({ id: '1', cargo: { __typename: 'Box', weight: 3, seal: 'wax' } }) }, Ship: {} },
      },
      customs: {
        sdl: customs,
        resolvers: {
          Ship: { stamp: (ship: { cargo?: { weight: number; seal?: string } }) => `${ship.cargo?.weight} ${ship.cargo?.seal}` },
        },
      },
    });
    expect(await graph.query('{ ship { stamp } }')).toEqual({ data: { ship: { stamp: '3 wax' } } });
    await graph.close();
  });
});

describe('what truly cannot be reached', () => {
  const failing = (a: string, b: string): readonly string[] => {
    const composition = composeRelease([
      { name: 'a', url: 'http://a', sdl: a },
      { name: 'b', url: 'http://b', sdl: b },
    ]);
    return 'errors' in composition ? composition.errors.map((error) => error.message) : [];
  };

  it('is refused where no key leads there', () => {
    const errors = failing(
      federated('type Query { ship: Ship } type Ship { id: ID! @shareable }'),
      federated('type Query { x: Int } type Ship { id: ID! @shareable name: String }'),
    );
    expect(errors.join('\n')).toMatch(/SATISFIABILITY_ERROR[\s\S]*Ship\.name/);
  });

  it('is refused where a @requires asks for what nobody can fetch', () => {
    const errors = failing(
      federated('type Query { first: Ship } type Ship @key(fields: "id", resolvable: false) { id: ID! weight: Int }'),
      federated(
        'type Query { last: Ship } type Ship @key(fields: "id") { id: ID! weight: Int @external stamp: String @requires(fields: "weight") }',
      ),
    );
    expect(errors.join('\n')).toMatch(/last[\s\S]*cannot satisfy @require conditions on field "Ship\.stamp"/);
  });
});
