import { type Change, removal, type Verdict } from './changes.ts';
import { followMembers } from './follow-members.ts';
import { mayStart } from './members.ts';
import type { PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { isConnected, nameOf, place, type World } from './world.ts';

/**
 * Whether etcd is to begin anew from what a survivor of a lost quorum had: its only member says so, and what is planned on
 * its host is still the member of before. It is so once for each recovery, whatever else changes of etcd later.
 */
export function isRecovering(world: World, service: PlannerService): boolean {
  const [member, ...others] = world.members;
  if (member?.recoveredFrom == null || others.length > 0) return false;
  return world.planned.get(place(service.name, member.hostId))?.memberId !== member.id;
}

/**
 * Comes before all else of etcd, for nothing of it answers. What was planned of the control plane on hosts that cannot be
 * seen goes too: it stands on the etcd of before, which may have its quorum among such hosts when they return, and their
 * first slice must not let it serve that.
 */
export function recoveryChanges(world: World, service: PlannerService): Verdict {
  const member = world.members[0]!;
  const name = nameOf(world, member.hostId);
  const old = world.planned.get(place(service.name, member.hostId));
  const follows = [...followMembers(world, service), ...lostControlPlane(world, name)];
  if (old === undefined) return { changes: follows, waits: [] };
  if (!mayStart(world, member)) {
    const message = `etcd is to be recovered from what ${name} holds, and ${name} cannot be seen`;
    return { changes: follows, waits: [waitFor.etcd(world, 'EtcdStepBlocked', message)] };
  }
  const reason = `etcd is recovered from what ${name} holds`;
  return {
    changes: [...follows, { kind: 'replace', service, hostId: member.hostId, old, reason, notBefore: 0 }],
    waits: [],
  };
}

function lostControlPlane(world: World, survivor: string): Change[] {
  const control = world.services.filter((s) => s.placement === 'control-plane');
  return control.flatMap((service) =>
    [...world.planned.values()]
      .filter((i) => i.service === service.name && !isConnected(world.hostById.get(i.hostId)))
      .map((i) =>
        removal(
          service,
          i,
          `etcd is recovered from what ${survivor} holds, and ${service.name} on ${nameOf(world, i.hostId)} knows the one of before`,
        ),
      ),
  );
}
