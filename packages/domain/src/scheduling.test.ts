import { describe, expect, it } from 'vitest';
import { DomainError } from './errors.ts';
import { parseScheduling, stackLabels } from './scheduling.ts';

const own = { stack: 'kubernetes', service: 'kube-scheduler' };
const affinity = (kind: string) => `io.rancher.scheduler.affinity:${kind}`;

describe('scheduling labels', () => {
  it.each([
    ['host_label', 'disk=ssd', { kind: 'host_label', pairs: [{ key: 'disk', value: 'ssd' }] }],
    ['host_label_ne', 'disk=ssd', { not: true, soft: false }],
    ['host_label_soft', 'disk=ssd', { not: false, soft: true }],
    ['host_label_soft_ne', 'disk=ssd', { not: true, soft: true }],
    [
      'host_label',
      'disk=ssd, topology.kubernetes.io/zone=a',
      {
        pairs: [
          { key: 'disk', value: 'ssd' },
          { key: 'topology.kubernetes.io/zone', value: 'a' },
        ],
      },
    ],
    ['host_label', 'spare=', { pairs: [{ key: 'spare', value: '' }] }],
    ['container', 'etcd,kubernetes/kubelet', { kind: 'container', names: ['etcd', 'kubernetes/kubelet'] }],
    [
      'container_label_ne',
      'io.rancher.stack_service.name=$${stack_name}/$${service_name}',
      { not: true, pairs: [{ key: 'io.rancher.stack_service.name', value: 'kubernetes/kube-scheduler' }] },
    ],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: users write it so
    ['container_label', 'app=${service_name}', { pairs: [{ key: 'app', value: 'kube-scheduler' }] }],
  ])('%s: %s', (kind, value, rule) => {
    expect(parseScheduling({ [affinity(kind)]: value }, own).rules).toMatchObject([rule]);
  });

  it('says whether it is global', () => {
    const global = (value?: string) =>
      parseScheduling(value === undefined ? {} : { 'io.rancher.scheduler.global': value }, own).global;
    expect([global('true'), global('false'), global()]).toEqual([true, false, null]);
  });

  it('leaves other labels alone', () => {
    expect(parseScheduling({ app: 'web', 'io.rancher.sidekicks': 'x' }, own)).toEqual({
      global: null,
      rules: [],
    });
  });

  it.each([
    ['io.rancher.scheduler.global', 'yes', /is true or false, not "yes"/],
    ['io.rancher.scheduler.affinity', 'a=b', /There is no scheduling label/],
    [
      affinity('hostlabel'),
      'a=b',
      /There is no affinity "hostlabel"; there is host_label, container_label, container/,
    ],
    [affinity('host_label_ne_soft'), 'a=b', /it is written host_label_soft_ne/],
    [affinity('host_label'), 'ssd', /"ssd" is not a label; write key=value, such as disk=ssd/],
    [affinity('host_label'), 'a=b,', /"" is not a label/],
    [affinity('host_label'), 'a b=c', /"a b=c" is not a label/],
    [affinity('container'), 'Etcd!', /"Etcd!" names no service; write <service> or <stack>\/<service>/],
  ])('refuses %s: %s', (label, value, message) => {
    const parse = () => parseScheduling({ [label]: value }, own, '/labels');
    expect(parse).toThrow(message);
    expect(parse).toThrow(DomainError);
    try {
      parse();
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_value', pointer: `/labels/${label}` });
    }
  });

  it('points at the label, escaped as a JSON pointer wants it', () => {
    const label = 'io.rancher.scheduler.a/b~c';
    expect(() => parseScheduling({ [label]: '' }, own)).toThrow(
      expect.objectContaining({ pointer: '/labels/io.rancher.scheduler.a~1b~0c' }),
    );
  });
});

it('every instance says which stack and service it is of', () => {
  expect(stackLabels(own)).toEqual({
    'io.rancher.stack.name': 'kubernetes',
    'io.rancher.stack_service.name': 'kubernetes/kube-scheduler',
  });
});
