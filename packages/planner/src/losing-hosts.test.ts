import { describe, expect, it } from 'vitest';
import { brakeOf } from './brake.ts';
import { host, Lab, servicesOfScale, start } from './fixtures.ts';
import { plannerDefaults } from './types.ts';

const minute = 60_000;

/** Three of the control plane, on five hosts; etcd on hosts 1 to 3. */
const five = () => new Lab(5, servicesOfScale(3, 2)).converge();
const planFor = (lab: Lab) => lab.plan().plan?.actions.map((a) => `${a.kind} ${a.service} ${a.hostId}`) ?? [];
const message = (lab: Lab, type: string) => lab.plan().conditions.find((c) => c.type === type)!.message;

describe('a host that is lost', () => {
  it('keeps what runs there until its time has come, and then it moves where there is room', () => {
    const planes = (n: number) => (n < 4 ? { etcd: 'true' } : { orchestration: 'true' });
    const hosts = [1, 2, 3, 4, 5, 6].map((n) => host(n, { labels: planes(n) }));
    const lab = new Lab(hosts, servicesOfScale(3, 2)).converge();
    const [lost] = lab.hostsOf('kube-scheduler') as [number];
    lab.lose(lost);
    lab.now += 59 * minute;
    expect(planFor(lab).filter((a) => a.includes('kube-scheduler'))).toEqual([]);
    lab.now += 2 * minute;
    expect(
      planFor(lab)
        .filter((a) => a.includes('kube-scheduler'))
        .map((a) => a.split(' ')[0]),
    ).toEqual(['remove', 'create']);
  });

  it('is looked at again when its etcd member may be replaced, and when the rest may move', () => {
    const lab = five();
    lab.lose(1);
    expect(lab.plan().nextLookAt).toBe(lab.now + plannerDefaults.etcdReplaceAfterMs);
    const lostAt = lab.now;
    lab.now += 6 * minute;
    expect(lab.plan().nextLookAt).toBeLessThanOrEqual(lostAt + plannerDefaults.hostsReplaceAfterMs);
  });

  it('gives up its control plane with its member of etcd, and both go to the same host', () => {
    const lab = new Lab(5, servicesOfScale(3, 3)).converge();
    const places = () => ['etcd', 'kube-apiserver', 'kube-scheduler'].map((service) => lab.hostsOf(service));
    expect(places()).toEqual([1, 2, 3].map(() => [1, 2, 3]));
    lab.lose(2);
    lab.now += plannerDefaults.etcdReplaceAfterMs - minute;
    expect(planFor(lab)).toEqual([]);
    lab.now += minute;
    lab.converge();
    expect(places()).toEqual([1, 2, 3].map(() => [1, 3, 4]));
    lab.change(2, { state: 'active', lastSeenMs: lab.now });
    lab.converge();
    expect(places()).toEqual([1, 2, 3].map(() => [1, 3, 4]));
  });

  it('gives up at once what is healthy nowhere else', () => {
    const lab = new Lab(5, servicesOfScale(3, 1)).converge();
    const [only] = lab.hostsOf('kube-scheduler') as [number];
    lab.lose(only);
    expect(planFor(lab)).toContain(`remove kube-scheduler host_${only}`);
    expect(lab.hostsOf('kube-scheduler')).not.toContain(only);
  });

  it('keeps everything, however long, while another host reaches it; and that is said', () => {
    const lab = new Lab(5, servicesOfScale(3, 1)).converge();
    const [only] = lab.hostsOf('kube-scheduler') as [number];
    lab.lose(only);
    lab.change(only, { reachedBy: ['host-4', 'host-5'] });
    lab.now += 600 * minute;
    expect(planFor(lab)).toEqual([]);
    expect(message(lab, 'HostsReady')).toContain(
      `host-4 and host-5 reach host-${only}, so only the server cannot see it, and nothing is moved from it`,
    );
    lab.change(only, { reachedBy: [] });
    expect(message(lab, 'HostsReady')).toContain(`No other host reaches host-${only}`);
    expect(planFor(lab)).not.toContain(`create kube-scheduler host_${only}`);
  });

  it('keeps everything while etcd has no quorum', () => {
    const lab = five();
    lab.lose(1);
    lab.lose(2, lab.now - 10 * minute);
    lab.now += 600 * minute;
    expect(planFor(lab).filter((a) => a.includes('kube-'))).toEqual([]);
  });

  it('returns, and what moved away is not planned there again', () => {
    const lab = new Lab(5, servicesOfScale(3, 1)).converge();
    const [only] = lab.hostsOf('kube-scheduler') as [number];
    lab.lose(only);
    lab.converge();
    lab.change(only, { state: 'active', lastSeenMs: lab.now });
    lab.converge();
    expect(lab.hostsOf('kube-scheduler')).toHaveLength(1);
    expect(lab.hostsOf('kube-scheduler')).not.toContain(only);
  });
});

describe('the brake', () => {
  const vanish = (count: number, of: number) =>
    Array.from({ length: of }, (_, i) =>
      host(i + 1, i < count ? { state: 'disconnected', lastSeenMs: start + i * 1000 } : {}),
    );

  it.each([
    [2, 3, false],
    [3, 3, true],
    [3, 8, true],
    [3, 9, false],
    [4, 9, true],
  ])('with %i of %i vanished within a minute: %s', (count, of, on) => {
    expect(brakeOf(vanish(count, of), plannerDefaults).on).toBe(on);
  });

  it('holds everything, says what peers see, and lets go when a user says so, for those that vanished before', () => {
    const lab = new Lab(7, servicesOfScale(3, 1)).converge();
    const [only] = lab.hostsOf('kube-scheduler') as [number];
    const etcd = lab.hostsOf('etcd');
    const others = [1, 2, 3, 4, 5, 6, 7].filter((n) => n !== only && !etcd.includes(n)).slice(0, 2);
    for (const n of [only, ...others]) lab.lose(n);
    lab.change(others[0]!, { reachedBy: [`host-${etcd[1]}`] });
    lab.now += 90 * minute;
    expect(planFor(lab)).toEqual([]);
    expect(message(lab, 'Brake')).toContain(`reaches host-${others[0]}`);
    lab.options = { brakeReleasedAt: lab.now };
    expect(planFor(lab)).toContain(`remove kube-scheduler host_${only}`);
  });
});

describe('a host that is evacuated', () => {
  const hasOf = (lab: Lab, n: number) =>
    ['etcd', 'kube-apiserver', 'kube-scheduler', 'kubelet', 'containerd'].filter((service) =>
      lab.hostsOf(service).includes(n),
    );

  it('loses what can run elsewhere, then what every host has, and gets it back when that is undone', () => {
    const lab = five();
    const [away] = lab.hostsOf('kube-scheduler') as [number];
    lab.change(away, { evacuated: true });
    expect(planFor(lab)).not.toContain(`remove kubelet host_${away}`);
    lab.converge();
    expect(hasOf(lab, away)).toEqual([]);
    expect(lab.hostsOf('kube-scheduler')).toHaveLength(2);
    expect(lab.hostsOf('etcd')).toHaveLength(3);
    expect(lab.plan().waits).toEqual([]);
    lab.change(away, { evacuated: false });
    lab.converge();
    expect(hasOf(lab, away)).toEqual(['kubelet', 'containerd']);
  });

  it('is waited for by nobody while it is away', () => {
    const lab = five();
    lab.change(5, { evacuated: true });
    lab.converge();
    lab.lose(5);
    lab.now += 600 * minute;
    expect(planFor(lab)).toEqual([]);
  });

  it('keeps what could run nowhere else', () => {
    const lab = new Lab(1).converge();
    lab.change(1, { evacuated: true });
    lab.converge();
    expect(lab.hostsOf('kube-scheduler')).toEqual([1]);
    expect(lab.hostsOf('etcd')).toEqual([1]);
    expect(lab.hostsOf('kubelet')).toEqual([1]);
  });
});
