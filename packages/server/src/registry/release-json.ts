import type { LiveAction, LiveType } from '../events/live-type.ts';
import { MillraceError } from '../kit/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../kit/json.ts';
import { type Release, releaseDigest, type SubgraphTarget } from '../supergraph/release.ts';
import { registryErrors } from './errors.ts';

/** Raised when what a release holds changes its shape: a reader of another format asks for a new composition. */
export const RELEASE_FORMAT = 1;

/** spec/registry-api.md, 5. */
export function encodeRelease(release: Release): string {
  return JSON.stringify({
    format: RELEASE_FORMAT,
    digest: release.digest,
    supergraphSdl: release.supergraphSdl,
    liveTypes: release.liveTypes.map((type) => ({ ...type, actions: [...type.actions] })),
    subgraphs: [...release.subgraphs.values()],
  });
}

/** Throws RELEASE_INVALID where the text is of another format or its content does not give its digest. */
export function decodeRelease(text: string): Release {
  const json = parsed(text);
  if (json['format'] !== RELEASE_FORMAT) throw invalid(`format ${JSON.stringify(json['format']) ?? 'unknown'} is not ${RELEASE_FORMAT}`);
  const { digest, supergraphSdl, liveTypes, subgraphs } = json;
  if (typeof digest !== 'string' || typeof supergraphSdl !== 'string') throw invalid('digest and supergraphSdl must be texts');
  if (!Array.isArray(liveTypes) || !Array.isArray(subgraphs)) throw invalid('liveTypes and subgraphs must be lists');
  const release: Release = {
    digest,
    supergraphSdl,
    liveTypes: liveTypes.map(toLiveType),
    subgraphs: new Map(subgraphs.map(toTarget).map((target) => [target.name, target])),
  };
  // The digest covers every field, so nothing that passes it can have another shape than what was encoded.
  if (releaseDigest(supergraphSdl, release.liveTypes, release.subgraphs) !== digest) throw invalid('its content does not give its digest');
  return release;
}

function parsed(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (thrown) {
    throw invalid('it is not JSON', thrown);
  }
  throw invalid('it is not a JSON object');
}

function toLiveType(json: Json): LiveType {
  if (!isJsonObject(json) || !Array.isArray(json['actions']) || !Array.isArray(json['carried']))
    throw invalid('a live type has the wrong shape');
  const actions = new Map(json['actions'] as readonly (readonly [string, LiveAction])[]);
  return { ...(json as unknown as LiveType), actions };
}

function toTarget(json: Json): SubgraphTarget {
  if (!isJsonObject(json)) throw invalid('a subgraph has the wrong shape');
  const { name, url, subscriptionUrl } = json;
  if (typeof name !== 'string' || typeof url !== 'string') throw invalid('a subgraph needs a name and a url');
  if (subscriptionUrl !== null && typeof subscriptionUrl !== 'string') throw invalid('a subscriptionUrl must be a text or null');
  return { name, url, subscriptionUrl };
}

function invalid(reason: string, cause?: unknown): MillraceError {
  return new MillraceError(registryErrors.RELEASE_INVALID, `release refused: ${reason}`, {}, cause);
}
