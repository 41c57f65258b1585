import { askEtcd } from './etcd-client.ts';
import type { Upstreams } from './upstream.ts';

export interface EtcdMember {
  name: string;
  hostId?: string;
  id?: string;
  healthy: boolean;
  leader?: boolean;
  learner?: boolean;
  version?: string;
  dbSizeBytes?: number;
  /** Raft index up to which it has applied everything. */
  appliedIndex?: number;
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
  raftAppliedIndex?: string;
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
          appliedIndex: Number(status.raftAppliedIndex ?? 0),
          ...(leader ? {} : { error: 'it knows no leader' }),
        }),
  };
}

async function askMember(upstreams: Upstreams, environmentId: string, hostId: string): Promise<Asked> {
  const post = <T>(path: string, body: object) => askEtcd<T>(upstreams, environmentId, hostId, path, body);
  try {
    const [status, members, alarms] = await Promise.all([
      post<StatusResponse>('/v3/maintenance/status', {}),
      post<{ members?: MemberResponse[] }>('/v3/cluster/member/list', { linearizable: false }),
      post<{ alarms?: { memberID: string; alarm: string }[] }>('/v3/maintenance/alarm', { action: 'GET' }),
    ]);
    return {
      hostId,
      status,
      members: members.members ?? [],
      alarms: alarms.alarms ?? [],
    };
  } catch (error) {
    return { hostId, error: (error as Error).message };
  }
}
