/**
 * etcd's quorum, simulated: what would be left of it during and after a step. A step is taken only if a majority
 * of the voting members stays healthy throughout, whatever becomes of the member that the step is about.
 * Rules: etcd's documentation, "Runtime reconfiguration" (remove the dead before adding; one member at a time; learners
 * do not vote until they have caught up).
 */
export interface Member {
  id: string;
  healthy: boolean;
}

export type Step =
  /** Stop the member's process and start it again on the same data. */
  | { kind: 'restart'; id: string }
  /** A new member, as a learner first. */
  | { kind: 'add'; id: string }
  /** Let a learner that has caught up vote. */
  | { kind: 'promote'; id: string }
  /** Take the member out for good. */
  | { kind: 'remove'; id: string };

/** How many of n voting members must agree. */
export function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

export function hasQuorum(members: readonly Member[]): boolean {
  return members.length > 0 && healthyOf(members) >= quorumOf(members.length);
}

/**
 * Whether a step keeps quorum, and in words why not. The restart of a member that does not answer loses nothing, so it
 * is always allowed here; how many at a time is for the caller.
 */
export function allows(
  members: readonly Member[],
  step: Step,
): { allowed: true } | { allowed: false; why: string } {
  const others = members.filter((m) => m.id !== step.id);
  const member = members.find((m) => m.id === step.id);
  const healthyOthers = healthyOf(others);
  switch (step.kind) {
    case 'restart': {
      if (member?.healthy === false || members.length === 1) return { allowed: true };
      return judge(healthyOthers, members.length, 'while this one restarts');
    }
    case 'promote': {
      if (!others.every((m) => m.healthy)) {
        return { allowed: false, why: 'a member is not healthy, and one more that votes needs more healthy' };
      }
      return judge(healthyOthers + 1, others.length + 1, 'after its promotion');
    }
    case 'add': {
      // With every member healthy the new one may fail right after its promotion and a majority is left; except in growing
      // from one to two, where nothing else is possible.
      if (!others.every((m) => m.healthy)) {
        return {
          allowed: false,
          why: 'a member is not healthy; the dead are restarted or removed before one is added',
        };
      }
      return { allowed: true };
    }
    case 'remove': {
      if (others.length === 0) return { allowed: false, why: 'it is the only member, and holds all objects' };
      return judge(healthyOthers, others.length, 'after its removal');
    }
  }
}

function judge(healthy: number, members: number, when: string) {
  const quorum = quorumOf(members);
  if (healthy >= quorum) return { allowed: true } as const;
  return {
    allowed: false,
    why: `${healthy} of ${members} members would be healthy ${when}, and ${quorum} are needed`,
  } as const;
}

function healthyOf(members: readonly Member[]): number {
  return members.filter((m) => m.healthy).length;
}
