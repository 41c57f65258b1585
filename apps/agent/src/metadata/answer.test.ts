import { describe, expect, it } from 'vitest';
import { answerTo } from './answer.ts';
import { metadata } from './testing.ts';
import { type Caller, treeOf } from './tree.ts';

const process: Caller = { kind: 'host' };
const ofEtcd: Caller = { kind: 'host', service: 'etcd' };
const pod: Caller = {
  kind: 'pod',
  pod: { ip: '10.42.0.7', name: 'web-0', namespace: 'default', uid: 'u1' },
};
const get = (path: string, caller: Caller = process, json = false) =>
  answerTo(path, json, treeOf(metadata, 'host_1', caller));
const text = (path: string, caller?: Caller) => get(path, caller).body;

describe('as text', () => {
  it.each([
    ['/', '2026-11-24/\nlatest/\n'],
    ['/latest', 'environment/\nhosts/\ninstances/\nself/\nservices/\nstacks/\nversion\n'],
    ['/latest/version', 'v1'],
    ['/2026-11-24/environment/name', 'default'],
    ['/latest/hosts', '0=default-1\n1=default-2\n'],
    ['/latest/hosts/default-2/agent_ip', '172.30.0.2'],
    ['/latest/hosts/1/agent_ip/', '172.30.0.2'],
    ['/latest/hosts/default-1/labels', 'etcd\nexample.com%2Fdisk\n'],
    ['/latest/hosts/default-1/labels/example.com%2Fdisk', 'ssd'],
    ['/latest/stacks/kubernetes', 'environment_name\nenvironment_uuid\nname\nservices/\nsystem\nuuid\n'],
    ['/latest/stacks/kubernetes/services', '0\n1\n'],
    ['/latest/stacks/kubernetes/services/0', 'etcd'],
    ['/latest/services/kubelet/instances', '0=kubelet-default-1\n1=kubelet-default-2\n'],
    ['/latest/services/kubelet/instances/1/health_state', 'initializing'],
    ['/latest/services/kubelet/scale', '2'],
    ['/latest/services/kubelet/global', 'true'],
    ['/latest/instances/etcd-default-1/primary_ip', '172.30.0.1'],
  ])('%s', (path, body) => {
    expect(get(path)).toEqual({ status: 200, type: 'text/plain; charset=utf-8', body });
  });

  it.each([
    '/1999-01-01',
    '/latest/nothing',
    '/latest/version/more',
    '/latest/hosts/9',
    '/latest/__proto__',
    '/%',
  ])('404: %s', (path) => expect(get(path).status).toBe(404));
});

describe('as JSON', () => {
  it('a value, a folder, a list', () => {
    const json = (path: string) => JSON.parse(get(path, process, true).body);
    expect(json('/latest/version')).toBe('v1');
    expect(json('/latest/hosts/default-1/labels')).toEqual({ etcd: 'true', 'example.com/disk': 'ssd' });
    expect(json('/latest/services').map((s: { name: string }) => s.name)).toEqual(['etcd', 'kubelet']);
    expect(get('/latest/nothing', process, true)).toEqual({
      status: 404,
      type: 'application/json',
      body: '{"error":"Not found"}',
    });
  });
});

describe('self is who asks', () => {
  it('a process of the host: the host alone', () => {
    expect(text('/latest/self')).toBe('host/\n');
    expect(text('/latest/self/host/name')).toBe('default-1');
    expect(get('/latest/self/service').status).toBe(404);
  });

  it('a process of a service: its stack, its service, its instance', () => {
    expect(text('/latest/self', ofEtcd)).toBe('host/\ninstance/\nservice/\nstack/\n');
    expect(text('/latest/self/service/name', ofEtcd)).toBe('etcd');
    expect(text('/latest/self/stack/name', ofEtcd)).toBe('kubernetes');
    expect(text('/latest/self/instance/uuid', ofEtcd)).toBe('ins_1');
  });

  it('a pod: itself and the host', () => {
    expect(text('/latest/self', pod)).toBe('host/\npod/\n');
    expect(text('/latest/self/pod', pod)).toBe('ip\nname\nnamespace\nuid\n');
    expect(text('/latest/self/pod/name', pod)).toBe('web-0');
  });
});

it('nothing but what is named gets out, whatever the data holds', () => {
  const leaky = {
    ...metadata,
    token: 'SECRET',
    hosts: metadata.hosts.map((h) => ({ ...h, credentialHash: 'SECRET' })),
    services: metadata.services.map((s) => ({ ...s, token: 'SECRET' })),
    instances: metadata.instances.map((i) => ({ ...i, logTail: ['SECRET'] })),
    environment: { ...metadata.environment, key: 'SECRET' },
    stacks: metadata.stacks.map((s) => ({ ...s, answers: 'SECRET' })),
  };
  expect(answerTo('/latest', true, treeOf(leaky, 'host_1', ofEtcd)).body).not.toContain('SECRET');
});
