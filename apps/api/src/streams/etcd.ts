import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Upstreams } from './upstream.ts';

const timeoutMs = 3_000;

export interface EtcdMember {
  name: string;
  hostId?: string;
  id?: string;
  healthy: boolean;
  leader?: boolean;
  learner?: boolean;
  version?: string;
  dbSizeBytes?: number;
  error?: string;
}
export interface EtcdStatus {
  members: EtcdMember[];
  alarms: { member: string; alarm: string }[];
}

interface Asked {
  hostId: string;
  status?: StatusResponse;
  members?: MemberResponse[];
  alarms?: { memberID: string; alarm: string }[];
  error?: string;
}
interface MemberResponse {
  ID: string;
  name?: string;
  isLearner?: boolean;
}
interface StatusResponse {
  header: { member_id: string };
  version?: string;
  dbSize?: string;
  leader?: string;
}

/**
 * Looks at every etcd member of an environment through its host's tunnel (etcd's JSON gateway to its gRPC API). A member
 * counts as healthy when it answers itself and knows a leader.
 */
export async function lookAtEtcd(
  upstreams: Upstreams,
  environmentId: string,
  hosts: { id: string; name: string }[],
): Promise<EtcdStatus> {
  const asked = await Promise.all(hosts.map((host) => askMember(upstreams, environmentId, host.id)));
  const listed = asked.find((a) => a.members !== undefined)?.members ?? [];
  const alarms = asked.find((a) => a.alarms !== undefined)?.alarms ?? [];
  const byId = new Map(
    asked.flatMap((a) => (a.status === undefined ? [] : [[a.status.header.member_id, a] as const])),
  );
  const members = listed.map((member): EtcdMember => memberView(member, byId.get(member.ID)));
  const silent = asked
    .filter((a) => a.status === undefined)
    .map((a): EtcdMember => {
      const name = hosts.find((host) => host.id === a.hostId)!.name;
      return { name, hostId: a.hostId, healthy: false, error: a.error ?? 'no answer' };
    });
  // Of a member whose host is silent the list knows the id, the host knows why.
  const merged = members.map((member) => {
    const why = silent.find((s) => s.name === member.name);
    return member.healthy || why === undefined
      ? member
      : { ...member, hostId: why.hostId!, error: why.error! };
  });
  const unlisted = silent.filter((s) => !members.some((member) => member.name === s.name));
  const nameOf = (id: string) => listed.find((member) => member.ID === id)?.name ?? id;
  return {
    members: [...merged, ...unlisted],
    alarms: alarms.map(({ memberID, alarm }) => ({ member: nameOf(memberID), alarm })),
  };
}

function memberView(member: MemberResponse, answered: Asked | undefined): EtcdMember {
  const status = answered?.status;
  const leader = status?.leader !== undefined && status.leader !== '0';
  return {
    name: member.name ?? member.ID,
    id: BigInt(member.ID).toString(16),
    learner: member.isLearner === true,
    healthy: leader,
    ...(answered === undefined
      ? { error: 'no host of the environment answers for it' }
      : { hostId: answered.hostId }),
    ...(status === undefined
      ? {}
      : {
          leader: status.leader === member.ID,
          version: status.version ?? '',
          dbSizeBytes: Number(status.dbSize ?? 0),
          ...(leader ? {} : { error: 'it knows no leader' }),
        }),
  };
}

async function askMember(upstreams: Upstreams, environmentId: string, hostId: string): Promise<Asked> {
  const post = (path: string, body: object) => postJson(upstreams, environmentId, hostId, path, body);
  try {
    const [status, members, alarms] = await Promise.all([
      post('/v3/maintenance/status', {}),
      post('/v3/cluster/member/list', { linearizable: false }),
      post('/v3/maintenance/alarm', { action: 'GET' }),
    ]);
    return {
      hostId,
      status: status as StatusResponse,
      members: (members as { members?: MemberResponse[] }).members ?? [],
      alarms: (alarms as { alarms?: { memberID: string; alarm: string }[] }).alarms ?? [],
    };
  } catch (error) {
    return { hostId, error: (error as Error).message };
  }
}

async function postJson(
  upstreams: Upstreams,
  environmentId: string,
  hostId: string,
  path: string,
  body: object,
): Promise<unknown> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(
      {
        method: 'POST',
        path,
        host: 'etcd',
        headers: { 'content-type': 'application/json' },
        agent: upstreams.agent(environmentId, hostId, 'etcd'),
        signal: AbortSignal.timeout(timeoutMs),
      },
      resolve,
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
  const content = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`etcd answers ${answer.statusCode} to ${path}`);
  return JSON.parse(content);
}
