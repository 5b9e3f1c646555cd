import type { schemaErrors } from './errors.ts';

/** One thing wrong with a pushed schema: what a person reads, and what a program branches on. */
export type SchemaProblem = {
  readonly code: keyof typeof schemaErrors;
  readonly message: string;
  readonly service?: string;
  readonly type?: string;
  readonly field?: string;
};

/** Collects problems of one service; the message always names service, type and field. */
export class Problems {
  readonly found: SchemaProblem[] = [];
  readonly service: string;

  constructor(service: string) {
    this.service = service;
  }

  add(code: keyof typeof schemaErrors, what: string, type?: string, field?: string): void {
    const place = type === undefined ? '' : field === undefined ? ` type ${type}:` : ` field ${type}.${field}:`;
    this.found.push({
      code,
      message: `service "${this.service}":${place} ${what}`,
      service: this.service,
      ...(type === undefined ? {} : { type }),
      ...(field === undefined ? {} : { field }),
    });
  }
}
