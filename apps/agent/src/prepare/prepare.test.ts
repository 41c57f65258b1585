import { X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentRequest, agentPaths, type SignedCertificate } from '@rancher/contracts';
import type { CertificateSpec } from '@rancher/domain';
import { type Authority, createAuthority, issueCertificate } from '@rancher/pki';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256, writeFileIfChanged } from '../files.ts';
import { silentLog } from '../log.ts';
import { FakeServer } from '../testing/fake-server.ts';
import { Artifacts } from './artifacts.ts';
import { type Ask, ensureCertificate, isDue } from './certificates.ts';
import { Ledger } from './ledger.ts';
import { ensureSecret } from './secrets.ts';

let dir: string;
let entries: Record<string, string>;
let ledger: Ledger;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-prepare-'));
  entries = {};
  ledger = new Ledger({}, (saved) => Object.assign(entries, saved), silentLog);
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('a file', () => {
  it('is written with its mode, and left alone when it is right', () => {
    const path = join(dir, 'a/b/file');
    expect(writeFileIfChanged(path, 'x', 0o640)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(writeFileIfChanged(path, 'x', 0o600)).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(writeFileIfChanged(path, 'y', 0o600)).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('y');
  });
});

describe('a secret', () => {
  const spec = () => ({ path: join(dir, 'secret'), mode: 0o600, secret: 'service-account.key' });
  it('is asked for once, and again when its file was touched', async () => {
    let asked = 0;
    const ask: Ask = async <T>() => {
      asked++;
      return { content: 'a secret' } as T;
    };
    await ensureSecret('ins', spec(), ledger, ask);
    await ensureSecret('ins_2', spec(), ledger, ask);
    expect(asked).toBe(1);
    writeFileSync(spec().path, 'something else');
    await ensureSecret('ins_3', spec(), ledger, ask);
    expect(asked).toBe(2);
    expect(readFileSync(spec().path, 'utf8')).toBe('a secret');
    await new Promise(setImmediate);
    expect(JSON.stringify(entries)).not.toContain('a secret');
  });
});

describe('a certificate', () => {
  let authority: Authority;
  let asked: AgentRequest[];
  beforeAll(async () => {
    authority = await createAuthority({ commonName: 'test' });
  });
  beforeEach(() => {
    asked = [];
  });
  const spec = (changes: Partial<CertificateSpec> = {}): CertificateSpec => ({
    certPath: join(dir, 'a.crt'),
    keyPath: join(dir, 'a.key'),
    caPath: join(dir, 'ca.crt'),
    authority: 'kubernetes',
    commonName: 'a',
    organizations: [],
    dnsNames: [],
    ipAddresses: [],
    usages: ['client'],
    ...changes,
  });
  const sign: Ask = async <T>(request: AgentRequest) => {
    asked.push(request);
    if (request.method !== 'signCertificate') throw new Error('not asked for');
    const { publicKeyPem } = request;
    const { certificatePem, notAfter } = await issueCertificate(authority, {
      publicKeyPem,
      commonName: 'a',
      usages: ['client'],
    });
    const signed: SignedCertificate = {
      certificatePem,
      caPem: authority.certificatePem,
      notAfter: notAfter.toISOString(),
    };
    return signed as T;
  };
  const refuse: Ask = () => Promise.reject(new Error('there is no connection to the server'));

  it('is made with a key that never leaves the host', async () => {
    const held = await ensureCertificate('ins', spec(), ledger, sign);
    const key = readFileSync(join(dir, 'a.key'), 'utf8');
    expect(statSync(join(dir, 'a.key')).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(asked)).not.toContain('PRIVATE KEY');
    expect(key).toContain('PRIVATE KEY');
    expect(held.path).toBe(join(dir, 'a.crt'));
    const { validToDate } = new X509Certificate(readFileSync(held.path));
    expect(new Date(held.notAfter).getTime()).toBeCloseTo(validToDate.getTime(), -4);
  });

  it('is kept while it is the same, valid and untouched, without the server', async () => {
    await ensureCertificate('ins', spec(), ledger, sign);
    await ensureCertificate('ins_2', spec(), ledger, refuse);
    expect(asked).toHaveLength(1);
  });

  it('is made anew when the description changes or a file was touched', async () => {
    await ensureCertificate('ins', spec(), ledger, sign);
    await ensureCertificate('ins', spec({ ipAddresses: ['10.0.0.1'] }), ledger, sign);
    writeFileSync(join(dir, 'a.key'), 'broken');
    await ensureCertificate('ins', spec({ ipAddresses: ['10.0.0.1'] }), ledger, sign);
    expect(asked).toHaveLength(3);
  });

  it('is renewed at two thirds of its life, and kept till its end where nobody signs', async () => {
    const { notAfter } = await ensureCertificate('ins', spec(), ledger, sign);
    const old = readFileSync(join(dir, 'a.crt'), 'utf8');
    const nearEnd = new Date(Date.parse(notAfter) - 1000);
    await ensureCertificate('ins', spec(), ledger, refuse, nearEnd);
    expect(readFileSync(join(dir, 'a.crt'), 'utf8')).toBe(old);
    await ensureCertificate('ins', spec(), ledger, sign, nearEnd);
    expect(readFileSync(join(dir, 'a.crt'), 'utf8')).not.toBe(old);
    const after = new Date(Date.parse(notAfter) + 86_400_000);
    await expect(ensureCertificate('ins', spec(), ledger, refuse, after)).rejects.toThrow('no connection');
  });

  it('is due from two thirds on', () => {
    const at = (day: number) => new Date(day * 86_400_000);
    expect(isDue(at(0), at(90), at(59))).toBe(false);
    expect(isDue(at(0), at(90), at(60))).toBe(true);
  });
});

describe('an artifact', () => {
  const ref = { name: 'etcd', version: '3.7.3' };
  const program = Buffer.from('#!/bin/sh\necho etcd\n');
  let server: FakeServer;
  let told: string[];
  let artifacts: Artifacts;
  const manifest = { ...ref, files: { etcd: { sha256: sha256(program), size: program.length } } };
  const cached = (file: string) => join(dir, 'cache/etcd-3.7.3', file);
  const placed = (file: string) => join(dir, 'target/etcd-3.7.3', file);
  const ensure = () => artifacts.ensure(ref, (message) => told.push(message));

  beforeEach(async () => {
    told = [];
    server = new FakeServer();
    await server.listen();
    server.files.set(agentPaths.artifactManifest(ref.name, ref.version), JSON.stringify(manifest));
    server.files.set(agentPaths.artifact(ref.name, ref.version, 'etcd'), program);
    artifacts = new Artifacts({
      targetDir: join(dir, 'target'),
      cacheDir: join(dir, 'cache'),
      server: () => ({ url: server.url, pin: server.caSha256, credential: 'c' }),
    });
  });
  afterEach(() => server.close());
  function fillCache(content: Buffer = program): void {
    mkdirSync(join(dir, 'cache/etcd-3.7.3'), { recursive: true });
    writeFileSync(cached('etcd'), content, { mode: 0o755 });
    writeFileSync(cached('manifest.json'), JSON.stringify(manifest));
  }

  it('is taken from the machine’s cache without the server', async () => {
    fillCache();
    server.files.clear();
    await ensure();
    expect(readlinkSync(join(dir, 'target/etcd-3.7.3'))).toBe(join(dir, 'cache/etcd-3.7.3'));
    await ensure();
  });

  it('is fetched where the cache has none, executable and whole', async () => {
    await Promise.all([ensure(), ensure()]);
    expect(readFileSync(placed('etcd'))).toEqual(program);
    expect(statSync(placed('etcd')).mode & 0o777).toBe(0o755);
    server.files.clear();
    await ensure();
  });

  it('of the cache that was changed is refused, said so, and fetched again', async () => {
    fillCache();
    await ensure();
    const changed = Buffer.from(program);
    changed[0] = 0;
    writeFileSync(cached('etcd'), changed);
    await ensure();
    expect(readFileSync(placed('etcd'))).toEqual(program);
    expect(told[0]).toBe(
      'artifact etcd-3.7.3 is refused: etcd does not have the SHA-256 of its manifest; it is fetched again',
    );
  });

  it('of which a file is missing is fetched', async () => {
    fillCache();
    await ensure();
    rmSync(cached('etcd'));
    await ensure();
    expect(readFileSync(placed('etcd'))).toEqual(program);
  });

  it('is fetched no further than it is wanted, and what is here is kept when more is', async () => {
    const more = { ...manifest.files, etcdctl: { sha256: sha256(program), size: program.length } };
    const file = (name: string) => agentPaths.artifact(ref.name, ref.version, name);
    server.files.set(
      agentPaths.artifactManifest(ref.name, ref.version),
      JSON.stringify({ ...ref, files: more }),
    );
    await artifacts.ensure({ ...ref, files: ['etcd'] }, () => {});
    expect(readdirSync(join(dir, 'target/etcd-3.7.3')).sort()).toEqual(['etcd', 'manifest.json']);
    server.files.delete(file('etcd'));
    server.files.set(file('etcdctl'), program);
    await Promise.all([ensure(), artifacts.ensure({ ...ref, files: ['etcdctl'] }, () => {})]);
    expect(readFileSync(placed('etcdctl'))).toEqual(program);
    expect(readFileSync(placed('etcd'))).toEqual(program);
  });

  it('of another build of its version takes the place of the one that is here', async () => {
    await ensure();
    const other = Buffer.from('#!/bin/sh\necho ETCD\n');
    const files = { etcd: { sha256: sha256(other), size: other.length }, more: manifest.files.etcd };
    server.files.set(agentPaths.artifactManifest(ref.name, ref.version), JSON.stringify({ ...ref, files }));
    server.files.set(agentPaths.artifact(ref.name, ref.version, 'etcd'), other);
    server.files.set(agentPaths.artifact(ref.name, ref.version, 'more'), program);
    await artifacts.ensure({ ...ref, files: ['etcd', 'more'] }, () => {});
    expect(readFileSync(placed('etcd'))).toEqual(other);
  });

  it('that comes corrupt from the server is refused, and nothing of it kept', async () => {
    server.files.set(agentPaths.artifact(ref.name, ref.version, 'etcd'), 'something else');
    await expect(ensure()).rejects.toThrow('does not have the SHA-256 of its manifest; refused');
    expect(readdirSync(join(dir, 'target/etcd-3.7.3'))).toEqual([]);
    server.files.set(agentPaths.artifact(ref.name, ref.version, 'etcd'), program);
    await ensure();
  });

  it('whose manifest names a file elsewhere is refused', async () => {
    const evil = { ...ref, files: { '../evil': { sha256: sha256(program), size: program.length } } };
    server.files.set(agentPaths.artifactManifest(ref.name, ref.version), JSON.stringify(evil));
    await expect(ensure()).rejects.toThrow('"../evil"');
  });

  it('that nobody has is said to be so in the server’s words', async () => {
    server.files.clear();
    await expect(ensure()).rejects.toThrow('There is no such file.');
  });
});
