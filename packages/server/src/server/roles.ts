import { sendText } from '../kit/http-message.ts';
import type { ServerResponse } from 'node:http';
import { serverErrors } from './errors.ts';

/** What a process does. Several processes of one installation share the work; one process may do all of it. */
export const ROLES = ['registry', 'ingest', 'gateway', 'edge'] as const;
export type Role = (typeof ROLES)[number];

/** Answers a request for what other processes of the installation do. */
export function sendElsewhere(res: ServerResponse, role: Role, here: readonly Role[]): void {
  const { ROLE_ELSEWHERE } = serverErrors;
  const message = `this process is ${here.join(', ')}; ask one that is ${role}`;
  sendText(res, ROLE_ELSEWHERE.http, 'application/json', JSON.stringify({ error: { code: ROLE_ELSEWHERE.code, message } }), {
    connection: 'close',
  });
}
