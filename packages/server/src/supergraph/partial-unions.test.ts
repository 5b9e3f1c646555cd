import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestGraph, federated, testGraph } from './fixture.ts';

/** Two subgraphs that share a timeline of which each knows entries of its own. */
const shared =
  'type Day @key(fields: "id") { id: ID! line: Line @shareable } type Line @shareable { entries: [Entry!]! } type Note @shareable { text: String }';
const note = { __typename: 'Note', text: 'hello' };
const call = { __typename: 'Call', minutes: 4, with: 'Ada', rate: 2 };
const mail = { __typename: 'Mail', subject: 'offer' };

describe('a union of which each subgraph has members of its own', () => {
  let graph: TestGraph;
  beforeAll(async () => {
    graph = await testGraph({
      calls: {
        sdl: federated(
          `type Query { today: Day } ${shared} union Entry = Note | Call type Call { minutes: Int with: String rate(in: String): Int }`,
        ),
        resolvers: { Query: { today: () => ({ id: 'd', line: { entries: [note, call] } }) } },
      },
      mails: {
        sdl: federated(`type Query { yesterday: Day } ${shared} union Entry = Note | Mail type Mail { subject: String }`),
        resolvers: { Query: { yesterday: () => ({ id: 'e', line: { entries: [mail] } }) } },
      },
    });
  });
  afterAll(() => graph.close());

  const ALL = '__typename ... on Note { text } ... on Call { minutes } ... on Mail { subject }';

  it('is asked for the members of the subgraph that answers', async () => {
    expect(await graph.query(`{ today { line { entries { ${ALL} } } } yesterday { line { entries { ${ALL} } } } }`)).toEqual({
      data: {
        today: { line: { entries: [note, { __typename: 'Call', minutes: 4 }] } },
        yesterday: { line: { entries: [mail] } },
      },
    });
    expect(graph.client.requests.map((request) => request.operation.query).filter((query) => query.includes('Mail')).length).toBe(1);
  });

  it('is asked through fragments, aliases and conditions too', async () => {
    const query =
      'query ($on: Boolean = true) { t: today { line @include(if: $on) { ...L } } } fragment L on Line { list: entries { ...E } } fragment E on Entry { ... on Call { m: minutes who: with } }';
    expect(await graph.query(query)).toEqual({ data: { t: { line: { list: [{}, { m: 4, who: 'Ada' }] } } } });
    expect(await graph.query(query, { on: false })).toEqual({ data: { t: {} } });
  });
});

it('is not asked of a subgraph where the field is one member only', async () => {
  const graph = await testGraph({
    narrow: {
      sdl: federated(
        'type Query { last: Entry @shareable first: Note @shareable } union Entry = Note | Call type Note @shareable { text: String } type Call { minutes: Int }',
      ),
      resolvers: { Query: { last: () => call, first: () => note } },
    },
    wide: {
      sdl: federated(
        'type Query { first: Entry @shareable } union Entry = Note | Mail type Note @shareable { text: String } type Mail { subject: String }',
      ),
      resolvers: { Query: { first: () => note } },
    },
  });
  expect(await graph.query('{ last { ... on Call { minutes } } first { ... on Note { text } ... on Call { minutes } } }')).toEqual({
    data: { last: { minutes: 4 }, first: { text: 'hello' } },
  });
  await graph.close();
});
