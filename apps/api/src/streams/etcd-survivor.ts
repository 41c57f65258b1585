import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { askEtcd } from './etcd-client.ts';
import type { Upstreams } from './upstream.ts';

const timeoutMs = 3_000;

/** What a member says of itself without quorum too. */
export interface Survivor {
  /** It knows a leader. */
  leader: boolean;
  /** Raft index up to which it has applied everything. */
  appliedIndex: number;
}

/**
 * Asks one member what it holds. One that lost the others while it ran answers as ever; one that was started since answers no
 * client before it has met a quorum, but it does tell its metrics.
 * @throws Error of the tunnel, or in words what is missing
 */
export async function askMember(
  upstreams: Upstreams,
  environmentId: string,
  hostId: string,
): Promise<Survivor> {
  const path = '/v3/maintenance/status';
  const asked = askEtcd<{ leader?: string; raftAppliedIndex?: string }>(
    upstreams,
    environmentId,
    hostId,
    path,
    {},
  ).then(({ leader = '0', raftAppliedIndex = '0' }) => ({
    leader: leader !== '0',
    appliedIndex: Number(raftAppliedIndex),
  }));
  // Both at once, as the first may take its whole time to say nothing.
  const measured = askMetrics(upstreams, environmentId, hostId);
  measured.catch(() => undefined);
  return asked.catch(() => measured);
}

async function askMetrics(upstreams: Upstreams, environmentId: string, hostId: string): Promise<Survivor> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = {
      path: '/metrics',
      host: 'etcd',
      agent: upstreams.agentForOnce(environmentId, hostId, 'etcd-metrics'),
      signal: AbortSignal.timeout(timeoutMs),
    };
    httpRequest(options, resolve).on('error', reject).end();
  });
  const metrics = await text(answer);
  const value = (name: string) => {
    const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1];
    if (found === undefined) throw new Error(`etcd tells no ${name}`);
    return Number(found);
  };
  return {
    leader: value('etcd_server_has_leader') === 1,
    appliedIndex: value('etcd_server_proposals_applied_total'),
  };
}
