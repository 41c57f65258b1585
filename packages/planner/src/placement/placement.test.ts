import { describe, expect, it } from 'vitest';
import { host, Lab, servicesOfScale, start, story } from '../fixtures.ts';
import type { PlannerHost, PlannerResult } from '../types.ts';

const affinity = (kind: string, value: string) => ({ [`io.rancher.scheduler.affinity:${kind}`]: value });
const away: Partial<PlannerHost> = { factsKnown: false, state: 'registering', lastSeenMs: null };
const actions = (r: PlannerResult) =>
  (r.plan?.actions ?? []).map((a) => `${a.kind} ${a.service} ${a.hostId}`);
const plane = (...planes: string[]) => ({ labels: Object.fromEntries(planes.map((p) => [p, 'true'])) });
const condition = (r: PlannerResult, type = 'HostsReady') => r.conditions.find((c) => c.type === type)!;

describe('rules of host labels', () => {
  const hosts = () => [
    host(1, { labels: { zone: 'a' } }),
    host(2, { labels: { zone: 'b', disk: 'ssd' } }),
    host(3, { labels: { zone: 'b' } }),
  ];

  it.each([
    ['host_label', 'zone=b', [2]],
    ['host_label', 'zone=b,disk=ssd', [2]],
    ['host_label_ne', 'zone=a', [2]],
    ['host_label_ne', 'zone=a,disk=ssd', [3]],
    ['host_label_soft', 'zone=b', [2]],
    ['host_label_soft_ne', 'zone=a', [2]],
    ['host_label_soft', 'zone=c', [1]],
    ['host_label', 'zone=c', []],
  ])('%s: %s', (kind, value, expected) => {
    const lab = new Lab(hosts()).rule('kube-scheduler', affinity(kind, value));
    lab.plan();
    expect(lab.hostsOf('kube-scheduler')).toEqual(expected);
  });

  it('a global service runs on each host that they allow', () => {
    const lab = new Lab(hosts()).rule('kube-scheduler', {
      'io.rancher.scheduler.global': 'true',
      ...affinity('host_label', 'zone=b'),
    });
    lab.plan();
    expect(lab.hostsOf('kube-scheduler')).toEqual([2, 3]);
  });

  it('the choice is told in words, and so is what excludes each host', () => {
    const lab = new Lab(hosts()).rule('kube-scheduler', affinity('host_label', 'disk=ssd'));
    expect(story(lab.plan()).filter((l) => l.includes('kube-scheduler'))).toMatchSnapshot();
    const none = new Lab(hosts()).rule('kube-scheduler', affinity('host_label', 'disk=nvme'));
    const result = none.plan();
    expect(none.hostsOf('kube-scheduler')).toEqual([]);
    expect(condition(result)).toMatchObject({ status: 'False', reason: 'RulesExcludeHosts' });
    expect(condition(result).message).toMatchSnapshot();
  });
});

describe('rules of what else runs there', () => {
  it.each([
    ['container', 'etcd', 2, [2]],
    ['container_ne', 'etcd', 2, [1]],
    ['container', 'kubernetes/etcd', 2, [2]],
    ['container_label', 'io.rancher.stack_service.name=kubernetes/etcd', 2, [2]],
    ['container_label_ne', 'io.rancher.stack_service.name=kubernetes/etcd', 1, [2]],
    ['container_soft', 'etcd', 3, [3]],
    ['container_soft_ne', 'kubelet', 1, [1]],
    ['container_ne', 'kubelet', 1, []],
    ['container', 'nothing', 1, []],
  ])('%s: %s, with etcd on host %i', (kind, value, etcd, expected) => {
    const hosts = [1, 2, 3].map((n) => host(n, n === etcd ? plane('etcd') : {}));
    const lab = new Lab(hosts).rule('kube-scheduler', affinity(kind, value));
    lab.plan();
    expect(lab.hostsOf('kube-scheduler')).toEqual(expected);
  });

  it('an anti-affinity holds for both sides, whichever is placed first', () => {
    const lab = new Lab(2).rule('kube-apiserver', affinity('container_ne', 'kube-scheduler'));
    lab.plan();
    expect(lab.hostsOf('kube-apiserver')).not.toEqual(lab.hostsOf('kube-scheduler'));
    expect(story(lab.plan())).toEqual([]);
  });

  it('one that names itself is kept: there is never more than one of a service on a host', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: users write it so
    const self = 'io.rancher.stack_service.name=${stack_name}/${service_name}';
    for (const kind of ['container_label', 'container_label_ne']) {
      const lab = new Lab(3, servicesOfScale(3, 3)).rule('kube-scheduler', affinity(kind, self));
      lab.plan();
      expect(lab.hostsOf('kube-scheduler')).toEqual([1, 2, 3]);
    }
  });

  it('two that want each other are put together; two of which one flees the other are not placed', () => {
    const lab = new Lab(3)
      .rule('kube-apiserver', affinity('container', 'kube-scheduler'))
      .rule('kube-scheduler', affinity('container', 'kube-apiserver'));
    lab.plan();
    expect(lab.hostsOf('kube-apiserver')).toEqual(lab.hostsOf('kube-scheduler'));
    const odd = new Lab(3)
      .rule('kube-apiserver', affinity('container', 'kube-scheduler'))
      .rule('kube-scheduler', affinity('container_ne', 'kube-apiserver'));
    odd.plan();
    expect([...odd.hostsOf('kube-apiserver'), ...odd.hostsOf('kube-scheduler')]).toEqual([]);
  });
});

describe('planes', () => {
  it('overlap by default: labels are followed where they can be', () => {
    const lab = new Lab([host(1), host(2, plane('etcd', 'orchestration')), host(3)], servicesOfScale(3, 1));
    lab.plan();
    expect(lab.hostsOf('etcd')).toEqual([1, 2, 3]);
    expect(lab.hostsOf('kube-apiserver')).toEqual([2]);
    expect(lab.hostsOf('kubelet')).toEqual([1, 2, 3]);
  });

  it('isolated, nothing of a plane is put on a host without its label', () => {
    const lab = new Lab([host(1, plane('compute')), host(2, plane('etcd')), host(3, plane('orchestration'))]);
    lab.planes = 'isolated';
    lab.plan();
    expect(['etcd', 'kube-apiserver', 'kube-scheduler'].map((s) => lab.hostsOf(s))).toEqual([[2], [3], [3]]);
    expect(lab.hostsOf('kubelet')).toEqual([1, 2, 3]);
  });

  it('isolated and without a host for one, it waits and says which label each host lacks', () => {
    const lab = new Lab([host(1, plane('compute')), host(2, plane('etcd'))]);
    lab.planes = 'isolated';
    const result = lab.plan();
    expect(lab.hostsOf('kube-apiserver')).toEqual([]);
    expect(condition(result).message).toMatchSnapshot();
    expect(condition(result).deadline).toBeDefined();
  });

  it('a labelled host that has not registered is waited for, though another is here, until its time is over', () => {
    const lab = new Lab([host(1), host(2, { ...plane('orchestration'), ...away })]);
    lab.plan();
    expect(lab.hostsOf('etcd')).toEqual([1]);
    expect(lab.hostsOf('kube-apiserver')).toEqual([]);
    lab.now = start + 600_000;
    lab.settle().plan();
    expect(lab.hostsOf('kube-apiserver')).toEqual([1]);
  });
});

describe('labels that change while it runs', () => {
  /** Settles and plans step by step, and gives the actions of each plan. */
  function steps(lab: Lab, most = 20): string[][] {
    const all: string[][] = [];
    for (let i = 0; i < most; i += 1) {
      const result = lab.settle().plan();
      const calls = lab.members.some((m) => m.state !== 'voter');
      if (result.plan === null && !calls) return all;
      if (result.plan !== null) all.push(actions(result));
      lab.now += 1000;
    }
    throw new Error('it does not come to rest');
  }

  it('nothing moves because a better place appeared', () => {
    const lab = new Lab(3).converge();
    lab.change(3, plane('etcd', 'orchestration'));
    expect(steps(lab)).toEqual([]);
  });

  it('a hard rule moves what breaks it: first the new ones, then the old ones go one at a time', () => {
    const lab = new Lab([host(1, plane('etcd', 'orchestration')), host(2, plane('compute'))]);
    lab.planes = 'isolated';
    lab.converge();
    lab.change(1, plane('etcd'));
    lab.change(2, plane('compute', 'orchestration'));
    const plans = steps(lab);
    expect(plans[0]).toEqual(['create kube-apiserver host_2', 'create kube-scheduler host_2']);
    expect(plans.slice(1)).toEqual([['remove kube-apiserver host_1'], ['remove kube-scheduler host_1']]);
    expect(lab.hostsOf('etcd')).toEqual([1]);
  });

  it('says why each goes, and what it waits for until then', () => {
    const lab = new Lab([host(1, plane('etcd', 'orchestration')), host(2, plane('compute'))]);
    lab.planes = 'isolated';
    lab.converge();
    lab.change(1, plane('etcd'));
    lab.change(2, plane('orchestration'));
    const told = [story(lab.plan()), story(lab.plan())];
    lab.settle();
    told.push(story(lab.plan()));
    expect(told).toMatchSnapshot();
  });

  it('what may be nowhere stays where it is, and a condition says so', () => {
    const lab = new Lab([host(1, plane('etcd', 'orchestration')), host(2, plane('compute'))]);
    lab.planes = 'isolated';
    lab.converge();
    lab.change(1, plane('etcd'));
    const result = lab.plan();
    expect(result.plan).toBeNull();
    expect(lab.hostsOf('kube-apiserver')).toEqual([1]);
    expect(condition(result)).toMatchObject({ status: 'False', reason: 'RulesExcludeHosts' });
    expect(condition(result).message).toMatchSnapshot();
  });

  it('etcd moves by its own steps: the new member before the old one goes', () => {
    const lab = new Lab([host(1, plane('etcd', 'orchestration')), host(2, plane('orchestration'))]);
    lab.planes = 'isolated';
    lab.converge();
    lab.change(1, plane('orchestration'));
    lab.change(2, plane('etcd', 'orchestration'));
    const etcd = steps(lab)
      .flat()
      .filter((a) => a.includes('etcd'));
    expect(etcd).toEqual(['create etcd host_2', 'remove etcd host_1']);
  });

  it('a global service leaves at once a host that it may no longer be on', () => {
    const lab = new Lab(2).rule('containerd', affinity('host_label_ne', 'bare=true')).converge();
    lab.change(2, { labels: { bare: 'true' } });
    expect(actions(lab.plan())).toEqual(['remove containerd host_2']);
  });
});

describe('failures', () => {
  /** It exits as soon as it runs, this often, where it is. */
  function fail(lab: Lab, service: string, times: number): void {
    for (let i = 0; i < times; i += 1) {
      lab.settle().exit(service, lab.hostsOf(service)[0]);
      lab.plan();
      lab.now += 1000;
    }
  }

  it('again and again move a service to another host, and it does not come back', () => {
    const lab = new Lab(3).converge();
    const [first] = lab.hostsOf('kube-scheduler');
    fail(lab, 'kube-scheduler', 4);
    expect(lab.hostsOf('kube-scheduler')).toEqual([first]);
    fail(lab, 'kube-scheduler', 1);
    const result = lab.settle().plan();
    expect(story(result).filter((l) => l.includes('kube-scheduler'))).toMatchSnapshot();
    const [second] = lab.hostsOf('kube-scheduler');
    expect(second).not.toBe(first);
    fail(lab, 'kube-scheduler', 6);
    lab.settle().plan();
    const [third] = lab.hostsOf('kube-scheduler');
    expect([first, second]).not.toContain(third);
    fail(lab, 'kube-scheduler', 20);
    expect(lab.hostsOf('kube-scheduler')).toEqual([third]);
  });

  it('of one that ran well in between do not', () => {
    const lab = new Lab(3).converge();
    const before = lab.hostsOf('kube-scheduler');
    for (let i = 0; i < 10; i += 1) {
      lab.settle();
      lab.now += 11_000;
      fail(lab, 'kube-scheduler', 1);
    }
    expect(lab.settle().plan().plan).toBeNull();
    expect(lab.hostsOf('kube-scheduler')).toEqual(before);
  });

  it('do not outweigh a rule, nor what it stands on being ill', () => {
    const ruled = new Lab(3).rule('kube-scheduler', affinity('host_label_soft', 'a=b'));
    ruled.change(2, { labels: { a: 'b' } });
    ruled.converge();
    fail(ruled, 'kube-scheduler', 8);
    expect(ruled.hostsOf('kube-scheduler')).toEqual([2]);
    const ill = new Lab(3).converge();
    const [at] = ill.hostsOf('kube-scheduler');
    for (let i = 0; i < 8; i += 1) {
      ill.settle().sicken('kube-apiserver', at);
      ill.exit('kube-scheduler', at);
      ill.plan();
      expect(ill.hostsOf('kube-scheduler')).toEqual([at]);
    }
  });
});
