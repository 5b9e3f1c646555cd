import { MillraceError } from '../kit/errors.ts';
import type { Clock } from '../kit/clock.ts';
import type { Composition, ServiceInput } from '../supergraph/compose.ts';
import { schemaErrors } from '../supergraph/errors.ts';
import type { SchemaProblem } from '../supergraph/live-problem.ts';
import type { Release } from '../supergraph/release.ts';
import { registryErrors } from './errors.ts';
import type { RegistryMetrics } from './metrics.ts';
import { setFingerprint } from './schema-identity.ts';
import type { SchemaRow } from './store.ts';

/** `composeRelease`, here or in a worker thread. */
export type Compose = (services: readonly ServiceInput[]) => Promise<Composition>;

/** Compositions remembered by what went into them. Failures are never remembered. */
const REMEMBERED = 4;

/** Composes sets of rows and remembers the last few, so that a fleet that asks for the same set does not compose it each time. */
export class Composer {
  readonly #compose: Compose;
  readonly #clock: Clock;
  readonly #metrics: RegistryMetrics;
  readonly #known = new Map<string, Release>();

  constructor(compose: Compose, clock: Clock, metrics: RegistryMetrics) {
    this.#compose = compose;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Rejects with the code of the first problem; `details.problems` has all of them. `purpose` begins the message. */
  async compose(rows: readonly SchemaRow[], purpose: string): Promise<Release> {
    if (rows.length === 0) throw failed(purpose, [{ code: 'COMPOSITION_FAILED', message: 'no service with an active schema is left' }]);
    const fingerprint = setFingerprint(rows);
    const known = this.#known.get(fingerprint);
    if (known) return known;
    const start = this.#clock.monotonic();
    const composition = await this.#compose(rows.map(toInput));
    this.#metrics.composeSeconds.observe((this.#clock.monotonic() - start) / 1000);
    if ('errors' in composition) throw failed(purpose, composition.errors);
    this.#remember(fingerprint, composition.ok);
    return composition.ok;
  }

  #remember(fingerprint: string, release: Release): void {
    this.#known.set(fingerprint, release);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
  }
}

function toInput(row: SchemaRow): ServiceInput {
  return { name: row.service, sdl: row.typeDefs, mappingSdl: row.mappingDefs, url: row.url ?? '', subscriptionUrl: row.subscriptionUrl };
}

function failed(purpose: string, problems: readonly SchemaProblem[]): MillraceError {
  const first = problems[0];
  const spec = schemaErrors[first?.code ?? 'COMPOSITION_FAILED'];
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new MillraceError(spec, `${purpose}: ${first?.message ?? 'composition failed'}${more}`, { problems });
}

export function versionUnknown(name: string, version: string, reason: string): MillraceError {
  return new MillraceError(registryErrors.VERSION_UNKNOWN, `Service [${name}] and version [${version}] ${reason}.`, {
    service: name,
    version,
  });
}
