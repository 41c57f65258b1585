import { DomainError } from '@rancher/domain';
import { askEtcd } from './etcd-client.ts';
import type { Upstreams } from './upstream.ts';

/** A change of etcd's membership. The member is known by its peer URL: one that has not started yet has no name. */
export interface EtcdMemberChange {
  kind: 'add' | 'promote' | 'remove';
  name: string;
  peerUrl: string;
}

interface Status {
  header: { member_id: string };
  leader?: string;
}
interface Member {
  ID: string;
  name?: string;
  peerURLs?: string[];
  isLearner?: boolean;
}

/** The way to the members of one environment: that of the leader, or of one that knows it. */
interface Way {
  leaderHostId: string;
  /** Hosts whose member answers, the leader's first. */
  hosts: { hostId: string; memberId: string }[];
  leaderId: string;
  ask<T>(hostId: string, path: string, body: object): Promise<T>;
}

/**
 * Makes one change, or finds it made: it may be asked for again after a crash, when nobody knows whether it was done.
 * The leader is moved away before its member is removed (etcd's documentation, "Runtime reconfiguration").
 * @returns `initialCluster` as the members are now, for the one that is to start
 * @throws DomainError `environment_not_ready` without a leader; Error in etcd's words, such as that a learner is not in sync
 */
export async function changeEtcdMember(
  upstreams: Upstreams,
  environmentId: string,
  hostIds: readonly string[],
  change: EtcdMemberChange,
): Promise<{ initialCluster: string }> {
  const way = await findWay(upstreams, environmentId, hostIds);
  const members = await list(way);
  const member = members.find((m) => m.peerURLs?.includes(change.peerUrl));
  if (change.kind === 'add') {
    if (member === undefined) await add(way, change.peerUrl);
  } else if (change.kind === 'promote') {
    if (member === undefined) throw new Error(`etcd has no member at ${change.peerUrl}`);
    if (member.isLearner === true) {
      await way.ask(way.leaderHostId, '/v3/cluster/member/promote', { ID: member.ID });
    }
  } else if (member !== undefined) {
    await remove(way, members, member);
  }
  return { initialCluster: initialCluster(await list(stillThere(way, member, change)), change) };
}

async function findWay(
  upstreams: Upstreams,
  environmentId: string,
  hostIds: readonly string[],
): Promise<Way> {
  const ask: Way['ask'] = (hostId, path, body) => askEtcd(upstreams, environmentId, hostId, path, body);
  const asked = await Promise.allSettled(
    hostIds.map(async (hostId) => ({
      hostId,
      status: await ask<Status>(hostId, '/v3/maintenance/status', {}),
    })),
  );
  const answers = asked.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []));
  const hosts = answers.map(({ hostId, status }) => ({ hostId, memberId: status.header.member_id }));
  const leaderId = answers.map((a) => a.status.leader ?? '0').find((id) => id !== '0');
  const leader = hosts.find((h) => h.memberId === leaderId);
  if (leaderId === undefined || leader === undefined) {
    throw new DomainError(
      'environment_not_ready',
      'No leader of etcd answers, so its members cannot be changed.',
    );
  }
  return {
    leaderHostId: leader.hostId,
    leaderId,
    hosts: [leader, ...hosts.filter((h) => h !== leader)],
    ask,
  };
}

async function list(way: Way): Promise<Member[]> {
  const path = '/v3/cluster/member/list';
  const { members } = await way.ask<{ members?: Member[] }>(way.leaderHostId, path, { linearizable: true });
  return members ?? [];
}

async function add(way: Way, peerUrl: string): Promise<void> {
  await way.ask(way.leaderHostId, '/v3/cluster/member/add', { peerURLs: [peerUrl], isLearner: true });
}

async function remove(way: Way, members: readonly Member[], member: Member): Promise<void> {
  const successor = way.hosts.find(
    (h) => h.memberId !== member.ID && members.some((m) => m.ID === h.memberId && m.isLearner !== true),
  );
  if (member.ID !== way.leaderId) {
    await way.ask(way.leaderHostId, '/v3/cluster/member/remove', { ID: member.ID });
    return;
  }
  if (successor === undefined) throw new Error('the leader is the only member that answers, so it stays');
  await way.ask(way.leaderHostId, '/v3/maintenance/transfer-leadership', { targetID: successor.memberId });
  await way.ask(successor.hostId, '/v3/cluster/member/remove', { ID: member.ID });
}

/** The way without a member that was just removed. */
function stillThere(way: Way, member: Member | undefined, change: EtcdMemberChange): Way {
  if (change.kind !== 'remove' || member === undefined) return way;
  const next = way.hosts.find((h) => h.memberId !== member.ID);
  return next === undefined ? way : { ...way, leaderHostId: next.hostId };
}

/** As etcd wants it of one that joins: all members, it among them. One that has not started is the one that joins. */
function initialCluster(members: readonly Member[], change: EtcdMemberChange): string {
  return members
    .flatMap((m) =>
      (m.peerURLs ?? []).map((url) => `${url === change.peerUrl ? change.name : (m.name ?? '')}=${url}`),
    )
    .sort()
    .join();
}
