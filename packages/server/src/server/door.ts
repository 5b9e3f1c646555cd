import type { RequestListener } from 'node:http';
import { demand } from '../access/permissions.ts';
import { createEventIntake } from '../brokers/event-intake.ts';
import { createHttpIngest } from '../brokers/http-ingest.ts';
import type { Base } from './base.ts';
import type { IngestSide } from './data-path.ts';
import type { Topics } from './graph.ts';

/** `POST /events`, the way in for producers without a broker: inspected with the mappings of the current release, answered when on disk. */
export function openDoor({ config, authenticator, clock, tracer, log: logger }: Base, topics: Topics, ingest: IngestSide): RequestListener {
  const { maxBodyBytes, maxEventBytes, maxInFlightBytes } = config.ingest;
  const door = createHttpIngest(
    {
      sink: ingest.sink,
      deadLetters: ingest.log.deadLetters,
      intake: createEventIntake(topics, { maxEventBytes }),
      authorize: async (authorization) => demand(await authenticator.authenticate(authorization), 'events:write'),
      logger,
      metrics: ingest.brokersMetrics,
      clock,
      tracer,
    },
    { maxBodyBytes, maxInFlightBytes },
  );
  return (req, res) => void door(req, res);
}
