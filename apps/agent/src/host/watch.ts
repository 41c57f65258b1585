import type { Health, InstanceSpec } from '@rancher/domain';
import type { Run } from '@rancher/runtimes';
import { Drift } from '../probes/drift.ts';
import { createCheck } from '../probes/probe.ts';
import { Prober } from '../probes/prober.ts';

/** What is seen of one run: its probe, and the files it stands on. The worse of both counts. */
export class Watch {
  readonly #drift: Drift | undefined;
  readonly #prober: Prober | undefined;
  readonly #onChange: (health: Health, message: string | undefined) => void;
  #probed: { health: Health; message: string | undefined };
  #drifted: string | undefined;

  constructor(
    run: Run,
    spec: InstanceSpec,
    health: 'initializing' | 'healthy',
    real: boolean,
    onChange: (health: Health, message: string | undefined) => void,
  ) {
    this.#onChange = onChange;
    this.#probed = { health, message: undefined };
    if (!real) {
      // Simulated: there is nothing to look at, so it is healthy as soon as it runs.
      if (health !== 'healthy') setImmediate(() => run.exit === undefined && onChange('healthy', undefined));
      return;
    }
    this.#drift = new Drift(spec);
    this.#prober = new Prober({
      spec: spec.probe,
      check: createCheck(spec.probe),
      health,
      startedAt: run.startedAt.getTime(),
      frozen: () => run.frozen(),
      onChange: (next, message) => {
        this.#probed = { health: next, message };
        if (this.#drifted === undefined) onChange(next, message);
      },
    });
  }

  look(): void {
    const drifted = this.#drift?.look();
    if (drifted === this.#drifted) return;
    this.#drifted = drifted;
    if (drifted === undefined) this.#onChange(this.#probed.health, this.#probed.message);
    else this.#onChange('unhealthy', drifted);
  }

  /** Its files were renewed by the agent. */
  rebase(): void {
    this.#drift?.rebase();
  }

  stop(): void {
    this.#prober?.stop();
  }
}
