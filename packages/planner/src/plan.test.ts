import { describe, expect, it } from 'vitest';
import { host, Lab, servicesOfScale, start, story } from './fixtures.ts';
import type { PlannerResult } from './types.ts';

const actions = (r: PlannerResult) =>
  (r.plan?.actions ?? []).map((a) => `${a.kind} ${a.service} ${a.hostId}`);
const reasons = (r: PlannerResult) => r.waits.map((w) => w.condition.reason);

describe('a new environment', () => {
  it('gets everything at once on one host, in start order', () => {
    const result = new Lab(1).plan();
    expect(story(result)).toMatchSnapshot();
    const after = result.plan!.instances.map((i) => [i.service, i.after.length]);
    expect(after).toEqual([
      ['containerd', 0],
      ['etcd', 0],
      ['kube-apiserver', 1],
      ['kube-scheduler', 1],
      ['kubelet', 2],
    ]);
  });

  it('starts with the first host that is there, and takes the others in as they register', () => {
    const lab = new Lab([host(1, { factsKnown: false, state: 'registering', lastSeenMs: null }), host(2)]);
    const first = lab.plan();
    expect(story(first)).toMatchSnapshot();
    lab.settle().change(1, { factsKnown: true, state: 'active', lastSeenMs: start });
    expect(actions(lab.plan())).toEqual(['create containerd host_1', 'create kubelet host_1']);
  });

  it('waits with a reason and a deadline while no host has registered', () => {
    const lab = new Lab([host(1, { factsKnown: false, state: 'registering', lastSeenMs: null })]);
    const result = lab.plan();
    expect(result.plan).toBeNull();
    expect(story(result)).toMatchSnapshot();
    expect(result.nextLookAt).toBe(start + 600_000);
  });

  it('puts planes on the hosts that are labelled for them, and nodes on every host', () => {
    const lab = new Lab([
      host(1, { labels: { compute: 'true' } }),
      host(2, { labels: { etcd: 'true' } }),
      host(3, { labels: { orchestration: 'true' } }),
    ]);
    const result = lab.plan();
    const placed = result.plan!.instances.map((i) => `${i.service} ${i.hostId}`);
    expect(placed.filter((p) => !/^(containerd|kubelet)/.test(p))).toEqual([
      'etcd host_2',
      'kube-apiserver host_3',
      'kube-scheduler host_3',
    ]);
    expect(placed).toHaveLength(9);
    expect(story(result).filter((line) => line.includes('was chosen'))).toMatchSnapshot();
  });

  it('places nothing before what it depends on has a place', () => {
    const away = { factsKnown: false, state: 'registering', lastSeenMs: null } as const;
    const lab = new Lab([host(1, { labels: { orchestration: 'true' }, ...away }), host(2)]);
    expect(actions(lab.plan())).toEqual(['create containerd host_2', 'create etcd host_2']);
    lab.settle().change(1, { factsKnown: true, state: 'active', lastSeenMs: start });
    expect(actions(lab.plan())).toContain('create kubelet host_2');
  });

  it('puts the control plane beside etcd', () => {
    const lab = new Lab([host(1), host(2, { labels: { etcd: 'true' } }), host(3)]);
    const placed = lab.plan().plan!.instances.filter((i) => i.service.startsWith('kube-'));
    expect(placed.map((i) => i.hostId)).toEqual(['host_2', 'host_2']);
  });

  it('makes the first etcd members together, once all of their hosts are there', () => {
    const lab = new Lab(3, servicesOfScale(3, 3));
    lab.change(3, { factsKnown: false, state: 'registering', lastSeenMs: null });
    expect(actions(lab.plan()).filter((a) => a.includes('etcd'))).toEqual([]);
    lab.settle().change(3, { factsKnown: true, state: 'active', lastSeenMs: start });
    expect(actions(lab.plan()).filter((a) => a.includes('etcd'))).toHaveLength(3);
  });
});

describe('a failure', () => {
  it('is mended at once on the same host, killed without grace, with exit and lifetime in words', () => {
    const lab = new Lab(1).converge();
    lab.now += 7_380_000;
    lab.exit('kube-scheduler');
    const old = lab.one('kube-scheduler').id;
    const result = lab.plan();
    expect(story(result)).toMatchSnapshot();
    expect(result.plan!.actions).toMatchObject([{ replaces: old, graceMs: 0 }]);
    expect(result.plan!.instances.find((i) => i.service === 'kube-scheduler')?.notBefore).toBe(0);
  });

  it('names the probe that failed', () => {
    const lab = new Lab(1).converge();
    lab.now += 20_000;
    lab.sicken('kube-scheduler');
    expect(story(lab.plan())).toMatchSnapshot();
  });

  it('is held back longer each time, and forgotten after five healthy minutes', () => {
    const lab = new Lab(1).converge();
    const delays: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      lab.exit('kubelet');
      lab.plan();
      const { notBefore } = lab.parent!.instances.find((p) => p.service === 'kubelet')!;
      delays.push(notBefore === 0 ? 0 : notBefore - lab.now);
      lab.now = Math.max(lab.now, notBefore);
      lab.settle();
    }
    expect(delays).toEqual([0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    lab.now += 300_000;
    lab.exit('kubelet');
    expect(lab.plan().plan!.instances.find((p) => p.service === 'kubelet')!.notBefore).toBe(0);
  });

  it('says what it waits for while it is held back', () => {
    const lab = new Lab(1).converge();
    lab.exit('kubelet');
    lab.plan();
    lab.settle().exit('kubelet');
    const result = lab.plan();
    expect(story(result)).toMatchSnapshot();
    expect(result.nextLookAt).toBe(lab.now + 1000);
    expect(lab.plan()).toMatchObject({ plan: null, waits: [{ condition: { reason: 'BackingOff' } }] });
  });

  it('of what only misses its dependency is not mended before the dependency is, and has settled', () => {
    const lab = new Lab(1).converge();
    lab.now += 60_000;
    lab.sicken('etcd');
    lab.sicken('kube-apiserver');
    const first = lab.plan();
    expect(actions(first)).toEqual(['replace etcd host_1']);
    expect(reasons(first)).toEqual(['DependencyUnhealthy']);
    lab.now += 500;
    lab.settle().sicken('kube-apiserver');
    const second = lab.plan();
    expect(second).toMatchObject({ plan: null, nextLookAt: lab.now + 3000 });
    lab.now += 3000;
    expect(actions(lab.plan())).toEqual(['replace kube-apiserver host_1']);
  });

  it('is not seen in a restart that the agent made while it was alone', () => {
    const lab = new Lab(1).converge();
    const seen = lab.one('kubelet');
    lab.observed.set(seen.id, { ...seen, startedMs: lab.now, healthyMs: lab.now });
    expect(lab.plan().plan).toBeNull();
  });
});

describe('a changed specification', () => {
  it('is rolled out one at a time, in start order', () => {
    const lab = new Lab(2).converge();
    lab.specs = { containerd: 1, kubelet: 1 };
    const order: string[] = [];
    for (;;) {
      const result = lab.plan();
      if (result.plan === null) break;
      order.push(...actions(result));
      if (order.length === 1) expect(story(result)).toMatchSnapshot();
      expect(lab.plan().plan).toBeNull();
      lab.settle();
    }
    expect(order).toEqual([
      'replace containerd host_1',
      'replace containerd host_2',
      'replace kubelet host_1',
      'replace kubelet host_2',
    ]);
  });

  it('reaches what was not started yet at once', () => {
    const lab = new Lab(2);
    lab.plan();
    lab.specs = { kubelet: 1 };
    expect(actions(lab.plan())).toEqual(['replace kubelet host_1', 'replace kubelet host_2']);
  });

  it('waits while what comes before it is not healthy, and mends what fails with its new self', () => {
    const lab = new Lab(2).converge();
    lab.specs = { kubelet: 1 };
    lab.exit('containerd', 2);
    const result = lab.plan();
    expect(actions(result)).toEqual(['replace containerd host_2']);
    expect(reasons(result)).toContain('RollingUpdate');
    lab.settle().exit('kubelet', 2);
    expect(actions(lab.plan())).toEqual(['replace kubelet host_2']);
  });
});

describe('what may change while it runs', () => {
  it('is taken up at once on every host, by the same instances', () => {
    const lab = new Lab(3).converge();
    lab.live = { kubelet: 1 };
    const before = [1, 2, 3].map((n) => lab.one('kubelet', n).id);
    const result = lab.plan();
    expect(actions(result)).toEqual([
      'reload kubelet host_1',
      'reload kubelet host_2',
      'reload kubelet host_3',
    ]);
    expect(result.plan!.actions.map((a) => a.instanceId)).toEqual(before);
    expect(lab.settle().plan().plan).toBeNull();
    lab.live = { kubelet: 2 };
    lab.lose(3);
    expect(actions(lab.plan())).toEqual(['reload kubelet host_1', 'reload kubelet host_2']);
  });

  it('does not make a changed specification wait, nor hide it', () => {
    const lab = new Lab(2).converge();
    lab.live = { kubelet: 1 };
    lab.specs = { kubelet: 1 };
    expect(actions(lab.plan())).toEqual(['replace kubelet host_1']);
  });
});

describe('lost hosts', () => {
  it('keep what is bound to them, with a wait', () => {
    const lab = new Lab(2).converge();
    lab.now += 40_000;
    lab.lose(2, lab.now - 40_000);
    const result = lab.plan();
    expect(result.plan).toBeNull();
    expect(story(result)).toMatchSnapshot();
  });

  it('lose the control plane to another host after an hour, if etcd answers', () => {
    const lab = new Lab(
      [host(1, { labels: { etcd: 'true' } }), host(2), host(3)],
      servicesOfScale(1, 1),
    ).converge();
    lab.services = lab.services.map((s) => (s.placement === 'control-plane' ? { ...s, scale: 2 } : s));
    lab.converge();
    lab.lose(2);
    lab.now += 3_599_000;
    expect(lab.plan().plan).toBeNull();
    lab.now += 1000;
    const result = lab.plan();
    expect(story(result)).toMatchSnapshot();
  });

  it('never lose etcd', () => {
    const lab = new Lab(2).converge();
    lab.lose(1);
    lab.now += 7_200_000;
    expect(lab.plan().plan).toBeNull();
  });

  it('put the brake on when more than a third vanish within a minute', () => {
    const lab = new Lab(6, servicesOfScale(1, 3)).converge();
    for (const n of [2, 3, 4]) lab.lose(n, lab.now + n * 1000);
    lab.now += 7_200_000;
    const result = lab.plan();
    expect(result.plan).toBeNull();
    expect(story(result)).toMatchSnapshot();
    lab.options = { brakeReleasedAt: lab.now };
    expect(actions(lab.plan())).toContain('create kube-apiserver host_5');
  });

  it('hold the brake until they return', () => {
    const lab = new Lab(6).converge();
    for (const n of [4, 5, 6]) lab.lose(n);
    expect(lab.plan().conditions).toContainEqual(expect.objectContaining({ type: 'Brake', status: 'True' }));
    lab.change(4, { state: 'active', lastSeenMs: lab.now });
    lab.settle();
    expect(lab.plan().conditions).toContainEqual(expect.objectContaining({ type: 'Brake', status: 'False' }));
  });

  it('keep the control plane while there is no other host for it', () => {
    const lab = new Lab(2, servicesOfScale(1, 2)).converge();
    lab.lose(2);
    lab.now += 7_200_000;
    expect(lab.plan().plan).toBeNull();
  });

  it('one after the other do not put the brake on', () => {
    const lab = new Lab(6).converge();
    for (const n of [4, 5, 6]) lab.lose(n, lab.now + n * 61_000);
    lab.now += 7_200_000;
    expect(reasons(lab.plan())).toEqual(['HostsLost']);
  });
});

describe('etcd', () => {
  it('is restarted in place when its single member died', () => {
    const lab = new Lab(1).converge();
    lab.exit('etcd');
    expect(actions(lab.plan())).toEqual(['replace etcd host_1']);
  });

  it('takes one step at a time while quorum holds', () => {
    const lab = new Lab(3, servicesOfScale(3)).converge();
    lab.specs = { etcd: 1 };
    lab.exit('etcd', 2);
    expect(actions(lab.plan())).toEqual(['replace etcd host_2']);
    expect(actions(lab.plan())).toEqual([]);
    lab.settle();
    expect(actions(lab.plan())).toEqual(['replace etcd host_1']);
    lab.settle();
    expect(actions(lab.plan())).toEqual(['replace etcd host_3']);
  });

  it('starts all the dead at once when quorum is lost', () => {
    const lab = new Lab(3, servicesOfScale(3)).converge();
    for (const n of [1, 2, 3]) lab.exit('etcd', n);
    expect(actions(lab.plan())).toHaveLength(3);
  });

  it('does not shrink below quorum, nor lose its only member', () => {
    const three = new Lab(3, servicesOfScale(3)).converge();
    three.lose(1);
    three.change(2, { desiredState: 'removed' });
    const result = three.plan();
    expect(actions(result).filter((a) => a.includes('etcd'))).toEqual([]);
    expect(story(result)).toMatchSnapshot();
    const one = new Lab(2).converge();
    one.change(1, { desiredState: 'removed' });
    expect(actions(one.plan())).not.toContain('remove etcd host_1');
    expect(one.parent!.instances.map((i) => i.service)).toContain('etcd');
  });

  it('that has lost quorum says who answers, and what may be lost', () => {
    const lab = new Lab(3, servicesOfScale(3, 3)).converge();
    lab.lose(2);
    lab.lose(3);
    const messages = lab.plan().waits.map((w) => w.condition.message);
    expect(messages).toContain(
      'etcd has lost quorum: 1 of 3 members answer (host-1). Nothing can be written until more do; what only host-2 and host-3 hold is lost with their data',
    );
    expect(lab.plan().memberSteps).toEqual([]);
  });

  describe('that is recovered from lost quorum', () => {
    const lost = () => {
      const lab = new Lab(3, servicesOfScale(3, 3)).converge();
      lab.lose(2);
      lab.lose(3);
      lab.plan();
      lab.recover(1);
      return lab;
    };

    it('begins anew on the survivor, and its lost hosts have no control plane any more', () => {
      const lab = lost();
      expect(actions(lab.plan()).sort()).toEqual([
        'remove etcd host_2',
        'remove etcd host_3',
        'remove kube-apiserver host_2',
        'remove kube-apiserver host_3',
        'remove kube-scheduler host_2',
        'remove kube-scheduler host_3',
        'replace etcd host_1',
      ]);
      const starting = lab.plan();
      expect(actions(starting)).toEqual([]);
      expect(reasons(starting)).not.toContain('EtcdQuorumLost');
      lab.settle();
      expect(actions(lab.plan())).toEqual([]);
      expect(lab.members).toHaveLength(1);
    });

    it('is restarted as any other afterwards, with what has changed of it', () => {
      const lab = lost();
      lab.converge();
      lab.specs = { etcd: 1 };
      expect(lab.plan().plan?.actions.map((a) => a.reason)).toEqual([
        'what etcd on host-1 should run has changed',
      ]);
    });

    it('grows by learners again once the hosts are back', () => {
      const lab = lost();
      lab.converge();
      for (const n of [2, 3]) lab.change(n, { state: 'active', lastSeenMs: lab.now });
      lab.converge();
      expect(lab.members.map((m) => [m.hostId, m.state])).toEqual([
        ['host_1', 'voter'],
        ['host_2', 'voter'],
        ['host_3', 'voter'],
      ]);
      expect(lab.hostsOf('kube-apiserver')).toEqual([1, 2, 3]);
    });

    it('is done with hosts that are removed for good, too', () => {
      const lab = lost();
      for (const n of [2, 3]) lab.change(n, { desiredState: 'removed' });
      lab.converge();
      expect([lab.hostsOf('etcd'), lab.hostsOf('kube-apiserver'), lab.members.length]).toEqual([[1], [1], 1]);
    });

    it('waits where the survivor is lost too', () => {
      const lab = lost();
      lab.lose(1);
      const result = lab.plan();
      expect(actions(result).filter((a) => a.startsWith('replace'))).toEqual([]);
      expect(result.waits.map((w) => w.condition.message)).toContain(
        'etcd is to be recovered from what host-1 holds, and host-1 cannot be seen',
      );
    });
  });

  it('is never begun anew in an environment that was active', () => {
    const lab = new Lab(1);
    lab.bootstrapped = true;
    const result = lab.plan();
    expect(actions(result)).not.toContain('create etcd host_1');
    expect(reasons(result)).toContain('EtcdLost');
  });

  it('grows by one member at a time: added, started, promoted, and only then the next', () => {
    const lab = new Lab(3).converge();
    lab.services = servicesOfScale(3, 3);
    expect(membership(lab)).toEqual([
      'add host_2',
      'create etcd host_2',
      'promote host_2',
      'add host_3, create kube-apiserver host_2, create kube-scheduler host_2',
      'create etcd host_3',
      'promote host_3',
      'create kube-apiserver host_3, create kube-scheduler host_3',
    ]);
  });

  it('shrinks by one member at a time, after what stands on it has gone', () => {
    const lab = new Lab(3, servicesOfScale(3, 3)).converge();
    lab.services = servicesOfScale(1, 1);
    expect(membership(lab)).toEqual([
      'remove kube-scheduler host_2, remove kube-scheduler host_3, remove kube-apiserver host_2, remove kube-apiserver host_3',
      'remove host_2',
      'remove etcd host_2',
      'remove host_3',
      'remove etcd host_3',
    ]);
  });

  it('does not take a member out while an API server there still uses it', () => {
    const lab = new Lab(3, servicesOfScale(3, 3)).converge();
    lab.services = servicesOfScale(1, 1);
    const api = lab.one('kube-apiserver', 2);
    lab.plan();
    lab.settle().observed.set(api.id, { ...api, state: 'stopping' });
    const result = lab.plan();
    expect(result.memberSteps).toEqual([]);
    expect(result.waits.map((w) => w.condition.message).join()).toContain(
      'kube-apiserver on host-2 still uses it',
    );
  });

  it('makes an odd number of members, and says that hosts are missing', () => {
    const lab = new Lab(2, servicesOfScale(3, 3)).converge();
    expect(lab.members.map((m) => m.hostId)).toEqual(['host_1']);
    expect(lab.plan().conditions).toContainEqual(expect.objectContaining({ reason: 'TooFewHosts' }));
    lab.hosts = [...lab.hosts, host(3)];
    lab.converge();
    expect(lab.members.map((m) => [m.hostId, m.state])).toEqual([
      ['host_1', 'voter'],
      ['host_2', 'voter'],
      ['host_3', 'voter'],
    ]);
  });

  it('takes a dead member out before another joins elsewhere', () => {
    const lab = new Lab(4, servicesOfScale(3, 3)).converge();
    lab.lose(2);
    lab.change(2, { desiredState: 'removed' });
    const steps = membership(lab);
    expect(steps.indexOf('remove host_2')).toBeLessThan(steps.indexOf('add host_4'));
    expect(steps).toContain('promote host_4');
  });

  it('holds everything while a call to etcd is not known to be done, and says why it is not', () => {
    const lab = new Lab(3).converge();
    lab.services = servicesOfScale(3);
    lab.plan();
    lab.members = lab.members.map((m) => ({ ...m, lastError: 'etcdserver: too many learners' }));
    const result = lab.plan();
    expect(result.memberSteps).toEqual([]);
    expect(story(result)).toMatchSnapshot();
  });

  it('adds a learner anew that keeps failing before it has caught up', () => {
    const lab = new Lab(3).converge();
    lab.services = servicesOfScale(3);
    lab.plan();
    lab.settle().plan();
    const first = lab.members.find((m) => m.hostId === 'host_2')!.id;
    for (let i = 0; i < 40 && lab.members.some((m) => m.id === first); i += 1) {
      lab.now += 60_000;
      lab.settle();
      if (lab.parent!.instances.some((p) => p.service === 'etcd' && p.hostId === 'host_2'))
        lab.exit('etcd', 2);
      lab.plan();
      lab.plan();
    }
    expect(lab.members.map((m) => m.id)).not.toContain(first);
    lab.converge();
    expect(lab.members.filter((m) => m.voting)).toHaveLength(3);
  });

  it('elects leaders before there is a second to elect: the first is rolled before the others come', () => {
    const lab = new Lab(3).converge();
    lab.services = servicesOfScale(3, 3);
    lab.specs = { 'kube-scheduler': 1 };
    const steps = membership(lab);
    const rolled = steps.findIndex((s) => s.includes('replace kube-scheduler host_1'));
    const second = steps.findIndex((s) => s.includes('create kube-scheduler host_2'));
    expect(rolled).toBeGreaterThanOrEqual(0);
    expect(second).toBeGreaterThan(rolled);
  });
});

/** Plans and settles until nothing changes: what was done at each look, in its order. */
function membership(lab: Lab): string[] {
  const done: string[] = [];
  for (let i = 0; i < 100; i += 1) {
    const result = lab.plan();
    const steps = result.memberSteps.map((s) => `${s.kind} ${s.hostId}`);
    const what = [...steps, ...actions(result)].join(', ');
    if (what === '' && lab.members.every((m) => m.state === 'voter')) return done;
    if (what !== '') done.push(what);
    lab.now += 1000;
    lab.settle();
  }
  throw new Error(`It does not settle: ${done.join('; ')}`);
}

describe('desired states', () => {
  it('inactive: nothing is changed, and it says so', () => {
    const lab = new Lab(1).converge();
    lab.exit('kubelet');
    lab.desiredState = 'inactive';
    const result = lab.plan();
    expect(result.plan).toBeNull();
    expect(reasons(result)).toEqual(['Deactivated']);
  });

  it('removed: an empty plan, last started first', () => {
    const lab = new Lab(1).converge();
    lab.desiredState = 'removed';
    const result = lab.plan();
    expect(result.plan!.instances).toEqual([]);
    expect(story(result)).toMatchSnapshot();
    expect(lab.plan().plan).toBeNull();
  });

  it('a removed host loses its instances, the others keep theirs', () => {
    const lab = new Lab(2).converge();
    lab.change(2, { desiredState: 'removed' });
    expect(actions(lab.plan())).toEqual(['remove kubelet host_2', 'remove containerd host_2']);
  });
});
