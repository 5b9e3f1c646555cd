import { MillraceError } from '../kit/errors.ts';
import { holds } from './completion.ts';
import { supergraphErrors } from './errors.ts';
import type { BatchAlias, EntitySource, FetchTask, SubgraphOperation } from './fetch-task.ts';
import type { OperationCall, SubgraphAnswer, SubgraphClient } from './generation.ts';
import { LIVE_SUBGRAPH } from './live-subgraph.ts';
import { type Representations, gatherRepresentations } from './representations.ts';
import type { ResponseErrors, ResponsePath } from './response-errors.ts';
import { type Tree, applyRewrites, cloneTree, isTree, mergeTrees, pathOf } from './response-tree.ts';
import type { TypeRelations } from './type-relations.ts';

/** How entity fetches leave: directly, or through a batcher that merges those of several executions. */
export interface EntityFetcher {
  /** `others` are the variables besides the representations: JSON members without braces, or the empty string. Answers are in the order asked. */
  entities(operation: SubgraphOperation, representations: readonly string[], others: string, call: OperationCall): Promise<EntityAnswer>;
}

export type EntityAnswer = {
  readonly entities: readonly unknown[];
  /** Errors of the subgraph; a path that starts with `_entities` has the index in this answer. */
  readonly errors: readonly unknown[];
};

export type ExecutorOptions = {
  readonly client: SubgraphClient;
  readonly relations: TypeRelations;
  readonly batcher: EntityFetcher;
};

/** Runs compiled plans: each task starts the moment that what it reads is there. Never rejects; failures become errors of the response. */
export class PlanExecutor {
  readonly client: SubgraphClient;
  readonly relations: TypeRelations;
  readonly #direct: EntityFetcher;
  readonly #batcher: EntityFetcher;

  constructor(options: ExecutorOptions) {
    this.client = options.client;
    this.relations = options.relations;
    this.#batcher = options.batcher;
    this.#direct = new DirectEntityFetcher(options.client);
  }

  /** Fills `data`. `batched`: entity fetches may be merged with those of other executions under the same view. */
  run(tasks: readonly FetchTask[], data: Tree, errors: ResponseErrors, call: OperationCall, batched: boolean): Promise<void> {
    if (tasks.length === 0) return DONE;
    return new PlanRun(this, batched ? this.#batcher : this.#direct, tasks, data, errors, call).start();
  }
}

const DONE = Promise.resolve();

class PlanRun {
  readonly #executor: PlanExecutor;
  readonly #fetcher: EntityFetcher;
  readonly #tasks: readonly FetchTask[];
  readonly #data: Tree;
  readonly #errors: ResponseErrors;
  readonly #call: OperationCall;
  readonly #waiting: Int32Array;
  #open: number;
  #resolve: () => void = () => {};

  constructor(
    executor: PlanExecutor,
    fetcher: EntityFetcher,
    tasks: readonly FetchTask[],
    data: Tree,
    errors: ResponseErrors,
    call: OperationCall,
  ) {
    this.#executor = executor;
    this.#fetcher = fetcher;
    this.#tasks = tasks;
    this.#data = data;
    this.#errors = errors;
    this.#call = call;
    this.#open = tasks.length;
    this.#waiting = new Int32Array(tasks.length);
    for (const task of tasks) this.#waiting[task.index] = task.dependencies;
  }

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      for (const task of this.#tasks) if (task.dependencies === 0) this.#launch(task);
    });
  }

  #launch(task: FetchTask): void {
    try {
      if (!holds(task.conditions, this.#call.variables)) this.#done(task);
      else if (task.kind === 'root') this.#root(task);
      else if (task.kind === 'entity') this.#entity(task);
      else this.#batch(task);
    } catch (error) {
      this.#fail(task, error, null);
    }
  }

  #done(task: FetchTask): void {
    for (const index of task.dependents) {
      const left = (this.#waiting[index] ?? 0) - 1;
      this.#waiting[index] = left;
      const next = this.#tasks[index];
      if (left === 0 && next) this.#launch(next);
    }
    if (--this.#open === 0) this.#resolve();
  }

  /** Runs `apply` on an answer; whatever a subgraph sent, the task ends and the others go on. */
  #settle<T>(task: FetchTask, answer: Promise<T>, apply: (answer: T) => void, place: () => ResponsePath | null): void {
    answer.then(
      (given) => {
        try {
          apply(given);
        } catch (error) {
          this.#errors.failure(error, task.operation.subgraph, place());
        }
        this.#done(task);
      },
      (error: unknown) => this.#fail(task, error, place()),
    );
  }

  #fail(task: FetchTask, error: unknown, path: ResponsePath | null): void {
    if (task.kind === 'root') for (const key of task.rootKeys) this.#errors.failure(error, task.operation.subgraph, [key]);
    else this.#errors.failure(error, task.operation.subgraph, path);
    this.#done(task);
  }

  #root(task: FetchTask & { kind: 'root' }): void {
    const variables = braces(otherVariables(task, this.#call.variables));
    this.#settle(
      task,
      this.#executor.client.execute(subgraphRequest(task.operation, variables, this.#call)),
      (answer) => this.#applyRoot(task, answer),
      () => null,
    );
  }

  #applyRoot(task: FetchTask & { kind: 'root' }, answer: SubgraphAnswer): void {
    const subgraph = task.operation.subgraph;
    for (const error of errorsOf(answer)) this.#errors.fromSubgraph(error, subgraph, (path) => path);
    if (!isTree(answer.data)) {
      if (errorsOf(answer).length === 0) throw badAnswer(subgraph, 'an answer without data and without errors');
      return;
    }
    applyRewrites(task.outputRewrites, answer.data, this.#executor.relations);
    mergeTrees(this.#data, answer.data);
  }

  #entity(task: FetchTask & { kind: 'entity' }): void {
    const wanted = gatherRepresentations(this.#data, task.source, this.#executor.relations);
    if (wanted.texts.length === 0) {
      this.#done(task);
      return;
    }
    const others = otherVariables(task, this.#call.variables);
    this.#settle(
      task,
      this.#fetcher.entities(task.operation, wanted.texts, others, this.#call),
      (answer) => {
        for (const error of answer.errors) this.#entityError(error, task.operation.subgraph, '_entities', task.source, wanted, null);
        this.#applyEntities(task.operation.subgraph, answer.entities, answer.errors.length > 0, task.source, wanted, null);
      },
      () => this.#placeOf(task.source, wanted.targets[0]?.[0] ?? null),
    );
  }

  /** `explained`: the answer has errors, which say why entities are missing. */
  #applyEntities(
    subgraph: string,
    entities: readonly unknown[],
    explained: boolean,
    source: EntitySource,
    wanted: Representations,
    order: readonly number[] | null,
  ): void {
    for (let i = 0; i < wanted.targets.length; i++) {
      const entity = entities[order ? (order[i] ?? -1) : i];
      if (!isTree(entity)) {
        // Null says that there is no such entity. Anything else left out without a word would be a null that nobody can explain.
        if (entity !== null && !(entity === undefined && explained))
          this.#badEntity(subgraph, entity, source, wanted.targets[i]?.[0] ?? null);
        continue;
      }
      const own = order ? cloneTree(entity) : entity;
      applyRewrites(source.outputRewrites, own, this.#executor.relations);
      const targets = wanted.targets[i] ?? [];
      for (let t = 1; t < targets.length; t++) mergeTrees(targets[t] as Tree, cloneTree(own));
      mergeTrees(targets[0] as Tree, own);
    }
  }

  #badEntity(subgraph: string, entity: unknown, source: EntitySource, target: Tree | null): void {
    const got =
      entity === undefined
        ? 'fewer entities than were asked for'
        : `a ${Array.isArray(entity) ? 'list' : typeof entity} where an entity should be`;
    this.#errors.failure(badAnswer(subgraph, got), subgraph, this.#placeOf(source, target));
  }

  #batch(task: FetchTask & { kind: 'batch' }): void {
    const variables = new BatchVariables();
    const jobs = task.aliases.map((alias) => {
      const wanted = gatherRepresentations(this.#data, alias.source, this.#executor.relations);
      return { alias, wanted, order: variables.add(alias.variable, wanted.texts) };
    });
    if (variables.empty) {
      this.#done(task);
      return;
    }
    const others = otherVariables(task, this.#call.variables);
    const text = braces([others, variables.text()].filter((part) => part !== '').join(','));
    const first = jobs.find((job) => job.wanted.targets.length > 0);
    this.#settle(
      task,
      this.#executor.client.execute(subgraphRequest(task.operation, text, this.#call)),
      (answer) => this.#applyBatch(task.operation.subgraph, answer, jobs),
      () => (first ? this.#placeOf(first.alias.source, first.wanted.targets[0]?.[0] ?? null) : null),
    );
  }

  #applyBatch(
    subgraph: string,
    answer: SubgraphAnswer,
    jobs: readonly { alias: BatchAlias; wanted: Representations; order: readonly number[] }[],
  ): void {
    const errors = errorsOf(answer);
    for (const error of errors) {
      const root = isTree(error) && Array.isArray(error['path']) ? error['path'][0] : undefined;
      const job = jobs.find((candidate) => candidate.alias.alias === root) ?? jobs[0];
      if (job) this.#entityError(error, subgraph, job.alias.alias, job.alias.source, job.wanted, job.order);
    }
    if (!isTree(answer.data)) {
      if (errors.length === 0) throw badAnswer(subgraph, 'an answer without data and without errors');
      return;
    }
    for (const job of jobs) {
      const given = answer.data[job.alias.alias];
      this.#applyEntities(subgraph, Array.isArray(given) ? given : [], errors.length > 0, job.alias.source, job.wanted, job.order);
    }
  }

  /** `_entities[3].stage.name` of the subgraph is some `deals[7].owner.stage.name` of the client. */
  #entityError(
    error: unknown,
    subgraph: string,
    root: string,
    source: EntitySource,
    wanted: Representations,
    order: readonly number[] | null,
  ): void {
    this.#errors.fromSubgraph(error, subgraph, (path) => {
      const index = typeof path[1] === 'number' ? (order ? order.indexOf(path[1]) : path[1]) : 0;
      const inside = path[0] === root && typeof path[1] === 'number';
      const target = wanted.targets[inside ? index : 0]?.[0] ?? null;
      const place = target ? this.#placeOf(source, target) : null;
      return place && inside ? [...place, ...path.slice(2)] : place;
    });
  }

  #placeOf(source: EntitySource, target: Tree | null): ResponsePath | null {
    if (!target) return null;
    for (const path of source.paths) {
      const found = pathOf(this.#data, path, target);
      if (found) return found;
    }
    return null;
  }
}

/** Several aliases of one batch may share a variable; each representation is sent once per variable. */
class BatchVariables {
  readonly #lists = new Map<string, { readonly texts: string[]; readonly index: Map<string, number> }>();
  empty = true;

  add(variable: string, texts: readonly string[]): readonly number[] {
    let list = this.#lists.get(variable);
    if (!list) this.#lists.set(variable, (list = { texts: [], index: new Map() }));
    const { texts: all, index } = list;
    if (texts.length > 0) this.empty = false;
    return texts.map((text) => {
      const known = index.get(text);
      if (known !== undefined) return known;
      index.set(text, all.length);
      return all.push(text) - 1;
    });
  }

  text(): string {
    return [...this.#lists].map(([variable, list]) => `${JSON.stringify(variable)}:[${list.texts.join(',')}]`).join(',');
  }
}

/** The variables of the client that the subgraph's operation uses, as JSON members without braces. */
export function otherVariables(task: { readonly variableUsages: readonly string[] }, values: Readonly<Record<string, unknown>>): string {
  if (task.variableUsages.length === 0) return '';
  const members: string[] = [];
  for (const name of task.variableUsages) {
    const text = name in values ? JSON.stringify(values[name]) : undefined;
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return members.join(',');
}

export function braces(members: string): string {
  return `{${members}}`;
}

export function subgraphRequest(
  operation: SubgraphOperation,
  variables: string,
  call: OperationCall,
): Parameters<SubgraphClient['execute']>[0] {
  return { operation, variables, headers: call.headers, signal: call.signal, deadline: call.deadline };
}

export function errorsOf(answer: SubgraphAnswer): readonly unknown[] {
  return Array.isArray(answer.errors) ? answer.errors : [];
}

export function badAnswer(subgraph: string, what: string): MillraceError {
  return new MillraceError(supergraphErrors.SUBGRAPH_BAD_ANSWER, `subgraph "${subgraph}" gave ${what}`);
}

/** One request per fetch. */
export class DirectEntityFetcher implements EntityFetcher {
  readonly #client: SubgraphClient;

  constructor(client: SubgraphClient) {
    this.#client = client;
  }

  entities(operation: SubgraphOperation, representations: readonly string[], others: string, call: OperationCall): Promise<EntityAnswer> {
    const variables = entityVariables(representations, others);
    return this.#client.execute(subgraphRequest(operation, variables, call)).then((answer) => readEntities(operation.subgraph, answer));
  }
}

export function entityVariables(representations: readonly string[], others: string): string {
  return `{${others === '' ? '' : `${others},`}"representations":[${representations.join(',')}]}`;
}

export function readEntities(subgraph: string, answer: SubgraphAnswer): EntityAnswer {
  const errors = errorsOf(answer);
  const entities = isTree(answer.data) ? answer.data['_entities'] : undefined;
  if (Array.isArray(entities)) return { entities, errors };
  if (errors.length > 0) return { entities: [], errors };
  throw badAnswer(subgraph, 'an answer without entities and without errors');
}

/** The generated subgraph has no server: the only query that it can get is the placeholder of a graph without queries. */
export function withLiveSubgraph(client: SubgraphClient): SubgraphClient {
  return {
    execute: (request) => (request.operation.subgraph === LIVE_SUBGRAPH ? Promise.resolve({ data: {} }) : client.execute(request)),
    subscribe: (request) => client.subscribe(request),
    close: () => client.close(),
  };
}
