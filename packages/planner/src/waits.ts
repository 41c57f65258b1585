import type { ConditionInput, ConditionType, PlannedInstance, PlanWait } from '@rancher/domain';
import type { Diagnosis } from './diagnosis.ts';
import type { PlannerHost, PlannerService } from './types.ts';
import { listWords } from './words.ts';
import { nameOf, place, type World } from './world.ts';

/** How soon an overdue wait is looked at again; what it waits for wakes the planner sooner. */
const overdueEveryMs = 30_000;
const deactivatedEveryMs = 3_600_000;
/** The next full interval, so that looks in between come to the same. */
const tick = (now: number, everyMs: number) => (Math.floor(now / everyMs) + 1) * everyMs;
const iso = (ms: number) => new Date(ms).toISOString();

/**
 * The waits, each a condition. A wait that lasts reads the same at each look: its times are those of the world, or, where
 * nothing tells when it began, those of the condition that already stands.
 */
export const waitFor = {
  dependency(
    world: World,
    instance: PlannedInstance,
    hindered: Extract<Diagnosis, { kind: 'hindered' }>,
  ): PlanWait {
    const where = nameOf(world, instance.hostId);
    const why =
      hindered.until === null
        ? `${hindered.by} there is not healthy`
        : `${hindered.by} there became healthy only just now`;
    return wait(world, {
      type: 'PlanBlocked',
      status: 'True',
      reason: 'DependencyUnhealthy',
      message: `${instance.service} on ${where} is unhealthy, and is not replaced yet because ${why}`,
      deadline:
        hindered.until ?? begun(world, 'PlanBlocked', 'DependencyUnhealthy', world.options.stepDeadlineMs),
      ...(hindered.until === null ? {} : { nextTry: hindered.until }),
    });
  },

  backoff(world: World, instance: PlannedInstance): PlanWait {
    const memory = world.input.parent?.failures[place(instance.service, instance.hostId)];
    const where = `${instance.service} on ${nameOf(world, instance.hostId)}`;
    return wait(world, {
      type: 'PlanBlocked',
      status: 'True',
      reason: 'BackingOff',
      message: `${where} is started again after a pause, as it keeps failing`,
      deadline: instance.notBefore,
      nextTry: instance.notBefore,
      ...(memory === undefined ? {} : { lastError: memory.lastReason }),
    });
  },

  etcd(
    world: World,
    reason: 'EtcdLost' | 'EtcdStepBlocked' | 'EtcdMemberChange' | 'EtcdQuorumLost',
    message: string,
    lastError: string | null = null,
  ): PlanWait {
    const deadline = begun(world, 'PlanBlocked', reason, world.options.stepDeadlineMs);
    const error = lastError === null ? {} : { lastError };
    return wait(world, { type: 'PlanBlocked', status: 'True', reason, message, deadline, ...error });
  },

  rolling(world: World, left: number, why: string | null): PlanWait {
    const instances = left === 1 ? '1 instance waits' : `${left} instances wait`;
    return wait(world, {
      type: 'PlanBlocked',
      status: 'True',
      reason: 'RollingUpdate',
      message: `${instances} for the new specification, one at a time${why === null ? '' : `: ${why}`}`,
      deadline: begun(world, 'PlanBlocked', 'RollingUpdate', world.options.stepDeadlineMs),
    });
  },

  moving(world: World, left: number, why: string | null): PlanWait {
    const instances = left === 1 ? '1 instance runs' : `${left} instances run`;
    return wait(world, {
      type: 'PlanBlocked',
      status: 'True',
      reason: 'Moving',
      message: `${instances} against a rule and will go, one at a time${why === null ? '' : `: ${why}`}`,
      deadline: begun(world, 'PlanBlocked', 'Moving', world.options.stepDeadlineMs),
    });
  },

  deactivated(world: World): PlanWait {
    return {
      condition: {
        type: 'PlanBlocked',
        status: 'True',
        reason: 'Deactivated',
        message: 'The environment is deactivated: what runs keeps running, and nothing is changed',
      },
      nextLookAt: tick(world.now, deactivatedEveryMs),
    };
  },
};

/** Hosts that are not here, as waits: for the first registration, lost ones, and the brake. */
export function hostWaits(world: World): PlanWait[] {
  const wanted = world.hosts.filter((h) => h.desiredState === 'active');
  const registering = wanted.filter((h) => !h.factsKnown && h.lastSeenMs === null);
  const lost = wanted.filter((h) => h.lastSeenMs !== null && h.state !== 'active');
  const waits: PlanWait[] = [];
  if (world.brake.on) waits.push(brakeWait(world));
  if (lost.length > 0) waits.push(lostWait(world, lost));
  if (registering.length > 0) {
    waits.push(
      wait(world, {
        type: 'HostsReady',
        status: 'False',
        reason: 'HostsRegistering',
        message: `${listWords(registering.map((h) => h.name))} has not registered yet`,
        deadline: Math.min(...registering.map((h) => h.createdMs)) + world.options.hostRegisterDeadlineMs,
      }),
    );
  }
  return [...waits, ...placeWaits(world, wanted.length)];
}

function lostWait(world: World, lost: readonly PlannerHost[]): PlanWait {
  const lastSeen = Math.min(...lost.map((h) => h.lastSeenMs!));
  const { etcdReplaceAfterMs, hostsReplaceAfterMs } = world.options;
  const next = [lastSeen + etcdReplaceAfterMs, lastSeen + hostsReplaceAfterMs].filter((at) => at > world.now);
  return wait(world, {
    type: 'HostsReady',
    status: 'False',
    reason: 'HostsLost',
    message: [
      `${listWords(lost.map((h) => h.name))} cannot be seen; what runs there keeps running as far as is known`,
      ...peersWords(lost),
    ].join('. '),
    deadline: lastSeen + hostsReplaceAfterMs,
    ...(next.length === 0 ? {} : { nextTry: Math.min(...next) }),
  });
}

/** What the other hosts say of those that the server cannot see. */
function peersWords(lost: readonly PlannerHost[]): string[] {
  const reached = lost.filter((h) => (h.reachedBy ?? []).length > 0);
  const dark = lost.filter((h) => h.reachedBy?.length === 0);
  return [
    ...reached.map(
      (h) =>
        `${listWords([...h.reachedBy!])} ${h.reachedBy!.length === 1 ? 'reaches' : 'reach'} ${h.name}, so only the server cannot see it, and nothing is moved from it`,
    ),
    ...(dark.length === 0 ? [] : [`No other host reaches ${listWords(dark.map((h) => h.name))}`]),
  ];
}

function brakeWait(world: World): PlanWait {
  const names = listWords(world.brake.vanished.map((h) => h.name));
  return wait(world, {
    type: 'Brake',
    status: 'True',
    reason: 'ManyHostsVanished',
    message: [
      `${names} vanished within a minute: nothing is moved until they return or a user releases the brake`,
      ...peersWords(world.brake.vanished),
    ].join('. '),
    deadline: world.brake.since + world.options.hostsReplaceAfterMs,
  });
}

/** Hosts that are told of for one service: a condition is to be read. */
const mostRefusals = 4;

/** Services that want more hosts than there are, or than their rules allow. */
function placeWaits(world: World, hosts: number): PlanWait[] {
  if (hosts === 0) return [placeWait(world, 'NoHosts', 'The environment has no host')];
  const few: string[] = [];
  const forbidden = new Map<string, string[]>();
  for (const service of world.services) {
    const isShort = (world.placement.get(service.name)?.missing ?? 0) > 0;
    const words = isShort || isHeld(world, service) ? refusalWords(world, service) : '';
    if (words !== '') forbidden.set(words, [...(forbidden.get(words) ?? []), service.name]);
    else if (isShort) few.push(service.name);
  }
  const waits: PlanWait[] = [];
  if (forbidden.size > 0) {
    const words = [...forbidden].map(
      ([why, names]) => `Rules leave too few hosts for ${listWords(names)}: ${why}`,
    );
    waits.push(placeWait(world, 'RulesExcludeHosts', words.join('. ')));
  }
  if (few.length > 0) {
    const message = `There are fewer hosts than ${listWords(few)} should run on`;
    waits.push(placeWait(world, 'TooFewHosts', message));
  }
  return waits;
}

function placeWait(world: World, reason: string, message: string): PlanWait {
  return wait(world, {
    type: 'HostsReady',
    status: 'False',
    reason,
    message,
    deadline: begun(world, 'HostsReady', reason, world.options.hostRegisterDeadlineMs),
  });
}

/** It runs where a rule forbids it, since there is no other place. */
function isHeld(world: World, service: PlannerService): boolean {
  const placement = world.placement.get(service.name);
  return placement?.hosts.some((id) => id in placement.refused && !placement.leaving.includes(id)) ?? false;
}

function refusalWords(world: World, service: PlannerService): string {
  const placement = world.placement.get(service.name);
  const words = Object.entries(placement?.refused ?? {}).map(([id, why]) => {
    const stays = placement!.hosts.includes(id) && !placement!.leaving.includes(id);
    return `${nameOf(world, id)} is refused, for ${why}${stays ? ' (until then it stays there)' : ''}`;
  });
  const more = words.length - mostRefusals;
  return (more > 0 ? [...words.slice(0, mostRefusals), `${more} more likewise`] : words).join('; ');
}

/** The deadline of a wait that nothing else dates: the one it began with, or one counted from now. */
function begun(world: World, type: ConditionType, reason: string, forMs: number): number {
  const standing = world.input.conditions?.find((c) => c.type === type && c.reason === reason)?.deadline;
  return standing === undefined ? world.now + forMs : Date.parse(standing);
}

interface WaitInput {
  type: ConditionType;
  status: 'True' | 'False';
  reason: string;
  message: string;
  deadline: number;
  nextTry?: number;
  lastError?: string;
}

function wait(world: World, input: WaitInput): PlanWait {
  const { deadline, nextTry, ...rest } = input;
  const due = nextTry ?? deadline;
  return {
    condition: {
      ...rest,
      deadline: iso(deadline),
      ...(nextTry === undefined ? {} : { nextTryAt: iso(nextTry) }),
    },
    nextLookAt: due > world.now ? due : tick(world.now, overdueEveryMs),
  };
}

const calm: Partial<Record<ConditionType, ConditionInput>> = {
  HostsReady: {
    type: 'HostsReady',
    status: 'True',
    reason: 'AllConnected',
    message: 'All hosts are connected',
  },
  PlanBlocked: {
    type: 'PlanBlocked',
    status: 'False',
    reason: 'NothingWaits',
    message: 'Nothing is held back',
  },
  Brake: { type: 'Brake', status: 'False', reason: 'HostsPresent', message: 'No brake is on' },
};

/**
 * One condition of each type that the planner owns: the first wait of the type speaks, or that of a lost quorum, as nothing
 * is graver; the others are added to it.
 */
export function conditionsOf(waits: readonly PlanWait[]): ConditionInput[] {
  return Object.values(calm).map((fallback) => {
    const gravity = (c: ConditionInput) => (c.reason === 'EtcdQuorumLost' ? 0 : 1);
    const own = waits
      .map((w) => w.condition)
      .filter((c) => c.type === fallback.type)
      .sort((a, b) => gravity(a) - gravity(b));
    const [first] = own;
    if (first === undefined) return fallback;
    return { ...first, message: own.map((c) => c.message).join('. ') };
  });
}
