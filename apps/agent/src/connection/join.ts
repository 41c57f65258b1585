import { readFileSync } from 'node:fs';
import { agentPaths, type JoinRequest, type JoinResponse } from '@rancher/contracts';
import type { HostFacts } from '@rancher/domain';
import type { AgentConfig } from '../config.ts';
import { sendJson } from './http.ts';

/**
 * Exchanges the registration token for the host's own credential, once.
 * @throws HttpError with the server's words (`token_spent`, `token_expired` …); WrongServerError for another server.
 */
export async function join(config: AgentConfig, url: string, facts: HostFacts): Promise<JoinResponse> {
  const request: JoinRequest = { token: readToken(config), name: config.name, labels: config.labels, facts };
  return await sendJson<JoinResponse>({ url, pin: config.caSha256 }, 'POST', agentPaths.join, request);
}

function readToken(config: AgentConfig): string {
  if (config.token !== undefined) return config.token;
  if (config.tokenFile === undefined)
    throw new Error('this host has no credential, and no token to join with');
  return readFileSync(config.tokenFile, 'utf8').trim();
}
