import type { Metrics } from '../kit/metrics.ts';

export type RegistryMetrics = ReturnType<typeof createRegistryMetrics>;

export function createRegistryMetrics(metrics: Metrics) {
  return {
    /** By kind (`push`, `deactivate`, `delete`) and outcome (`changed`, `unchanged` or an error code). */
    changes: metrics.counter('registry_changes_total', 'Changes asked for, by kind and outcome', ['kind', 'outcome']),
    conflicts: metrics.counter('registry_conflicts_total', 'Changes overtaken by another process and tried again'),
    composeSeconds: metrics.histogram(
      'registry_compose_seconds',
      'Time to compose all services',
      [0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30],
    ),
    releases: metrics.counter('registry_releases_total', 'Releases published to watchers of this process'),
    services: metrics.gauge('registry_services', 'Services with an active schema'),
    watchers: metrics.gauge('registry_watchers', 'Connections that follow the releases over HTTP'),
    requests: metrics.counter('registry_requests_total', 'HTTP requests by path and status', ['path', 'status']),
  };
}

export type RemoteReleasesMetrics = ReturnType<typeof createRemoteReleasesMetrics>;

export function createRemoteReleasesMetrics(metrics: Metrics) {
  return {
    connected: metrics.gauge('registry_followed', '1 while the releases of a registry process are followed'),
    releases: metrics.counter('registry_followed_releases_total', 'Releases taken from the registry'),
    failures: metrics.counter('registry_followed_failures_total', 'Connections to the registry that failed or ended'),
    keepFailures: metrics.counter('registry_followed_keep_failures_total', 'Releases that could not be written to the data folder'),
  };
}
