import { chmodSync, mkdirSync } from 'node:fs';
import type { InstanceSpec } from '@rancher/domain';
import { makeCgroup } from '@rancher/runtimes';
import { writeFileIfChanged } from '../files.ts';
import { ensureAddress } from './addresses.ts';
import type { Artifacts } from './artifacts.ts';
import { type Ask, ensureCertificate, type HeldCertificate } from './certificates.ts';
import type { Ledger } from './ledger.ts';
import { ensureSecret } from './secrets.ts';
import { ensureSeed } from './seed.ts';

/** What an instance finds on its host when it starts. */
export interface Prepared {
  certificates: HeldCertificate[];
}

export interface Preparer {
  /**
   * Makes everything be there that a spec needs before its program starts. What is right already is not touched.
   * @throws Error in words, such as for a full disk; the caller tries again.
   */
  prepare(instanceId: string, spec: InstanceSpec, progress: (message: string) => void): Promise<Prepared>;
  /** Makes its data, where a spec says from what, and it was not made before. Nothing else of the service may run. */
  seed(spec: InstanceSpec): Promise<void>;
  /** As {@link prepare}, for certificates alone, which are renewed while the program runs. */
  renewCertificates(instanceId: string, spec: InstanceSpec): Promise<HeldCertificate[]>;
}

/** The one for real hosts. */
export class HostPreparer implements Preparer {
  readonly #artifacts: Artifacts;
  readonly #ledger: Ledger;
  readonly #ask: Ask;
  readonly #cgroup: string;

  constructor(parts: { artifacts: Artifacts; ledger: Ledger; ask: Ask; cgroup: string }) {
    this.#artifacts = parts.artifacts;
    this.#ledger = parts.ledger;
    this.#ask = parts.ask;
    this.#cgroup = parts.cgroup;
  }

  async prepare(id: string, spec: InstanceSpec, progress: (message: string) => void): Promise<Prepared> {
    for (const { path, mode } of spec.directories) {
      mkdirSync(path, { recursive: true, mode });
      chmodSync(path, mode);
    }
    for (const file of spec.files) writeFileIfChanged(file.path, file.content, file.mode);
    for (const sub of [spec.component, ...spec.cgroups]) makeCgroup(`${this.#cgroup}/${sub}`);
    const [certificates] = await Promise.all([
      this.renewCertificates(id, spec),
      Promise.all(spec.secrets.map((secret) => ensureSecret(id, secret, this.#ledger, this.#ask))),
      Promise.all(spec.artifacts.map((ref) => this.#artifacts.ensure(ref, progress))),
      Promise.all(spec.addresses.map(ensureAddress)),
    ]);
    return { certificates };
  }

  async seed({ seed }: InstanceSpec): Promise<void> {
    if (seed !== undefined) await ensureSeed(seed);
  }

  renewCertificates(id: string, spec: InstanceSpec): Promise<HeldCertificate[]> {
    return Promise.all(spec.certificates.map((c) => ensureCertificate(id, c, this.#ledger, this.#ask)));
  }
}
