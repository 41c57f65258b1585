import { readFileSync } from 'node:fs';
import { agentPaths, type JoinRequest, type JoinResponse } from '@rancher/contracts';
import type { HostFacts } from '@rancher/domain';
import type { AgentConfig } from '../config.ts';
import { describe } from '../errors.ts';
import { WrongServerError } from './dial.ts';
import { HttpError, sendJson } from './http.ts';

/**
 * Exchanges the registration token for the host's own credential, once; with a credential that still holds, the machine
 * stays the host that it is.
 * @throws HttpError with the server's words (`token_spent`, `token_expired` …); WrongServerError for another server.
 */
export async function join(
  config: AgentConfig,
  url: string,
  facts: HostFacts,
  credential?: string,
): Promise<JoinResponse> {
  const request: JoinRequest = {
    token: readToken(config),
    name: config.name,
    labels: config.labels,
    facts,
    ...(credential === undefined ? {} : { credential }),
  };
  return await sendJson<JoinResponse>({ url, pin: config.caSha256 }, 'POST', agentPaths.join, request);
}

function readToken(config: AgentConfig): string {
  if (config.token !== undefined) return config.token;
  if (config.tokenFile === undefined)
    throw new Error('this host has no credential, and no token to join with');
  return readFileSync(config.tokenFile, 'utf8').trim();
}

const newToken = 'make a new one at the server (rancher host token), and run the command that comes with it';
const remedies: Record<string, string> = {
  unauthenticated: `the token is of another server, or was mistyped: ${newToken}`,
  token_expired: newToken,
  token_spent: `${newToken}; with more uses, if it is for several machines`,
  token_revoked: newToken,
  host_elsewhere:
    'give that host up first: run the command with --uninstall here, or remove the host at the server',
  name_taken: 'choose another name for this one with --name, or remove the other host at the server',
  rate_limited: 'wait a minute',
};

/** Whether trying again by itself may help: nobody answered, or the server was not able to. */
export function isPassing(error: unknown): boolean {
  if (error instanceof WrongServerError) return false;
  return !(error instanceof HttpError) || error.status >= 500 || error.status === 429;
}

/** Why a machine did not join, and what to do about it, in words for whoever ran the command. */
export function explainRefusal(error: unknown, url: string): string {
  const said = describe(error);
  if (error instanceof WrongServerError) {
    return `${said}. What answers there is not the server that gave the command, or stands between: check the address; then ${newToken}`;
  }
  if (error instanceof HttpError) {
    const remedy = remedies[error.code ?? ''];
    return remedy === undefined ? said : `${said} What to do: ${remedy}`;
  }
  return `${url} cannot be reached (${said}): check that this machine reaches that address and port, and that the server listens on it (RANCHER_LISTEN, RANCHER_ADVERTISE)`;
}
