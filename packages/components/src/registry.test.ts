import { type ArtifactUse, contentHash, type InstanceSpec } from '@rancher/domain';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ComponentContext } from './component.ts';
import { artifactsOf, components } from './registry.ts';
import { resolveSecretFile, secretDefinitions } from './secrets.ts';
import { yaml } from './shared/yaml.ts';
import { bareFacts, contextOf, modernFacts } from './testing.ts';
import { supportedVersions } from './versions.ts';

const refOf = ({ name, version }: ArtifactUse) => ({ name, version });

const secrets = new Map<string, string>();
beforeAll(async () => {
  for (const { name, generate } of secretDefinitions) secrets.set(name, await generate());
});

const contexts: [string, ComponentContext][] = supportedVersions.flatMap(({ version }) =>
  Object.entries({ modernFacts, bareFacts }).map(([name, facts]): [string, ComponentContext] => {
    const ctx = contextOf(facts);
    return [
      `${version}, ${name}`,
      { ...ctx, environment: { ...ctx.environment, kubernetesVersion: version } },
    ];
  }),
);

describe.each(contexts)('the system stack (%s)', (_name, ctx) => {
  const specs = new Map(components.map((c) => [c.name, c.spec(ctx)]));
  const all = [...specs.values()];

  it('is named as its components, in the versions that they say', () => {
    for (const component of components) {
      const spec = specs.get(component.name);
      expect(spec?.component).toBe(component.name);
      expect(spec?.version).toBe(component.version(ctx.environment.kubernetesVersion));
      expect(spec?.artifacts.map(refOf)).toEqual(component.artifacts(ctx.environment.kubernetesVersion));
    }
  });

  it('is the same for the same context', () => {
    const again = components.map((c) => contentHash(c.spec(structuredClone(ctx))));
    expect(again).toEqual(all.map((spec) => contentHash(spec)));
  });

  it('starts in an order that can be met', () => {
    const started = new Set<string>();
    for (const { name, after } of components) {
      for (const other of after) expect(started, `${name} after ${other}`).toContain(other);
      started.add(name);
    }
  });

  it('keeps each component in its own files', () => {
    const owners = new Map<string, string>();
    for (const spec of all) {
      for (const path of pathsOf(spec)) {
        expect(path).toMatch(/^\/(var|run)\//);
        expect(owners.get(path) ?? spec.component, path).toBe(spec.component);
        owners.set(path, spec.component);
      }
    }
  });

  it('names only secrets that an environment has, and holds the content of none', () => {
    const text = JSON.stringify(all);
    for (const { secret } of all.flatMap((s) => s.secrets)) {
      const content = resolveSecretFile(secret, secrets);
      expect(content.length).toBeGreaterThan(0);
      expect(text).not.toContain(JSON.stringify(content).slice(1, -1));
    }
  });

  it('keeps keys and kubeconfigs to root', () => {
    for (const { path, mode } of all.flatMap((s) => [...s.secrets, ...s.files])) {
      if (/(\.key|\.pub|kubeconfig|encryption\.yaml)$/.test(path)) expect(mode, path).toBe(0o600);
    }
  });

  it('asks each component by one handler, on loopback alone', () => {
    for (const { component, probe } of all) {
      const handlers = [probe.httpGet, probe.tcpSocket, probe.exec, probe.grpc].filter(
        (h) => h !== undefined,
      );
      expect(handlers, component).toHaveLength(1);
      expect(probe.httpGet?.host ?? '127.0.0.1', component).toBe('127.0.0.1');
    }
  });

  it('needs only artifacts that a host is told to fetch', () => {
    const known = artifactsOf(ctx.environment.kubernetesVersion);
    for (const use of all.flatMap((s) => s.artifacts)) expect(known).toContainEqual(refOf(use));
  });

  it('runs with the flags and files that were reviewed', async () => {
    const reviewed = all.map(({ files, ...spec }) => ({
      ...spec,
      files: files.filter((f) => !f.path.endsWith('.b64')),
    }));
    const name = `${ctx.environment.kubernetesVersion}-${ctx.host.facts.cgroupDriver}`;
    await expect(yaml(reviewed)).toMatchFileSnapshot(`./reviewed/${name}.yaml`);
  });
});

function pathsOf(spec: InstanceSpec): string[] {
  return [
    ...spec.directories.map((d) => d.path),
    ...spec.files.map((f) => f.path),
    ...spec.secrets.map((s) => s.path),
    ...spec.certificates.flatMap((c) => [c.certPath, c.keyPath, c.caPath]),
  ];
}
