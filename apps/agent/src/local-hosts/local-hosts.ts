import { mkdirSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { AgentRequest, ObservedLocalHost, SliceLocalHost } from '@rancher/contracts';
import { defaultHostNetwork } from '@rancher/domain';
import { isAlive, tailLog } from '@rancher/runtimes';
import type { AgentConfig } from '../config.ts';
import { describe } from '../errors.ts';
import { backoffMs } from '../host/backoff.ts';
import type { Log } from '../log.ts';
import { run } from '../run.ts';
import { type Bridge, ensureBridge, freeAddress, isBridgeUp, knownBridge } from './bridge.ts';
import {
  hasJoined,
  hostFolder,
  isPluggedIn,
  type Machine,
  plugIn,
  powerCut,
  powerOn,
  writeAgentConfig,
  writeToken,
} from './local-host.ts';
import { hostSuffix, hostsDir } from './names.ts';
import { type LocalHostRecord, Records } from './records.ts';

const lookMs = 500;
const mendMs = 5000;
/** A host that has not joined by then gets another token: the first may have been spent by an agent that crashed. */
const newTokenMs = 20_000;
const shortLifeMs = 10_000;

export interface Options {
  config: AgentConfig;
  log: Log;
  ask: <T>(request: AgentRequest) => Promise<T>;
  changed: () => void;
  /** The agent's entry point; that of this process when absent. */
  entry?: string;
}

interface Life {
  state: ObservedLocalHost['state'];
  message?: string;
  failures: number;
  retryAt: number;
  tokenAt: number;
  madeAt: number;
  /** Something is being done with it. */
  busy: boolean;
}

/**
 * Makes the machine have the local hosts that its slice names: makes those that are missing, makes anew one whose first
 * process died (its data is kept), cuts off those that are switched off, removes those that are named no more. Works on without a server.
 */
export class LocalHosts {
  readonly #options: Options;
  readonly #machine: Machine;
  readonly #records: Records;
  readonly #lives = new Map<string, Life>();
  readonly #timers: NodeJS.Timeout[];
  /** Undefined until it is known what is wanted: nothing is removed before. */
  #wanted: Map<string, SliceLocalHost> | undefined;
  #closed = false;
  #networking: Promise<unknown> = Promise.resolve();

  private constructor(options: Options, machine: Machine) {
    this.#options = options;
    this.#machine = machine;
    this.#records = new Records(machine.home);
    const mend = () =>
      this.#mendNetwork().catch((error) => options.log.error('network', { error: describe(error) }));
    this.#timers = [setInterval(() => this.#look(), lookMs), setInterval(() => void mend(), mendMs)];
  }

  /** Takes up what runs. @throws Error when the machine cannot have local hosts. */
  static async open(options: Options): Promise<LocalHosts> {
    const { config } = options;
    const { home, subnet } = config.localHosts!;
    const bridge = await ensureBridge(home, subnet === undefined ? {} : { subnet });
    const entry = resolve(options.entry ?? process.argv[1]!);
    // apps/agent/<src or dist>/main.*
    const app = resolve(entry, '../../../..');
    const artifactsDir = config.artifactsDir ?? resolve(config.stateDir, 'cache');
    mkdirSync(artifactsDir, { recursive: true });
    mkdirSync(hostsDir(home), { recursive: true, mode: 0o711 });
    const self = new LocalHosts(options, { home, bridge, app, entry: relative(app, entry), artifactsDir });
    await self.#adopt();
    return self;
  }

  apply(wanted: readonly SliceLocalHost[]): void {
    this.#wanted = new Map(wanted.map((host) => [host.hostId, host]));
    this.#look();
  }

  observed(): ObservedLocalHost[] {
    return [...this.#lives].map(([hostId, { state, message }]) => ({
      hostId,
      state,
      ...(message === undefined ? {} : { message }),
    }));
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Others on the machine may flush rules, reset forwarding, delete a bridge: looked at, and made again. */
  async #mendNetwork(): Promise<void> {
    const { home } = this.#machine;
    const running = this.#records.all().filter((record) => this.#runs(record.hostId));
    const networks = new Set([
      defaultHostNetwork,
      ...running.map((record) => record.network ?? defaultHostNetwork),
    ]);
    const up = [...networks].every((name) => isBridgeUp(knownBridge(home, name)));
    if (this.#closed || (up && running.every((record) => isPluggedIn(home, record)))) return;
    this.#options.log.warn('the network of local hosts is not as it was: it is made again', {
      networks: [...networks],
    });
    for (const name of networks) await this.#ensureNetwork(name);
    for (const record of running) await plugIn(this.#machine, record);
  }

  /** One after the other, so that no two choose the same subnet. */
  #ensureNetwork(name: string = defaultHostNetwork): Promise<Bridge> {
    const made = this.#networking.then(() => ensureBridge(this.#machine.home, { name }));
    this.#networking = made.catch(() => {});
    return made;
  }

  async #adopt(): Promise<void> {
    for (const record of this.#records.all()) {
      const running = record.init !== undefined && isAlive(record.init);
      this.#lives.set(record.hostId, newLife(running ? 'running' : 'creating'));
      if (!running) continue;
      await this.#ensureNetwork(record.network);
      await plugIn(this.#machine, record);
    }
  }

  /** Does what is due with each host that nothing is being done with. */
  #look(): void {
    if (this.#wanted === undefined || this.#closed) return;
    for (const [hostId, wanted] of this.#wanted) {
      const life = this.#lives.get(hostId) ?? newLife('creating');
      this.#lives.set(hostId, life);
      if (life.busy || Date.now() < life.retryAt) continue;
      if (wanted.power === 'off') {
        if (life.state !== 'off') this.#do(hostId, life, () => this.#switchOff(hostId, life));
        continue;
      }
      const record = this.#records.get(hostId);
      if (record?.init === undefined || !isAlive(record.init))
        this.#do(hostId, life, () => this.#make(wanted, life));
      else if (this.#lacksToken(hostId, life)) this.#do(hostId, life, () => this.#bringToken(hostId, life));
    }
    for (const [hostId, life] of this.#lives) {
      if (this.#wanted.has(hostId) || life.busy || Date.now() < life.retryAt) continue;
      this.#do(hostId, life, () => this.#remove(hostId, life));
    }
  }

  #do(hostId: string, life: Life, action: () => Promise<void>): void {
    life.busy = true;
    action()
      .catch((error) => {
        life.failures++;
        life.retryAt = Date.now() + Math.max(500, backoffMs(life.failures));
        life.state = this.#runs(hostId) ? 'running' : 'failed';
        life.message = describe(error);
        this.#options.log.error('local host', { hostId, error: life.message });
      })
      .finally(() => {
        life.busy = false;
        this.#options.changed();
        this.#look();
      });
  }

  #runs(hostId: string): boolean {
    const init = this.#records.get(hostId)?.init;
    return init !== undefined && isAlive(init);
  }

  async #make(wanted: SliceLocalHost, life: Life): Promise<void> {
    const { config, log } = this.#options;
    const { home } = this.#machine;
    const earlier = this.#records.get(wanted.hostId);
    if (earlier?.init !== undefined) this.#noteDeath(earlier, life);
    this.#tell(life, 'creating');
    const record = earlier ?? (await this.#register(wanted));
    writeAgentConfig(this.#machine, record, config.serverUrls, config.caSha256);
    // Meanwhile; its agent reads the token whenever it is there.
    const token = hasJoined(home, record) ? undefined : this.#bringToken(record.hostId, life);
    token?.catch(() => {});
    await this.#ensureNetwork(record.network);
    const init = await powerOn(this.#machine, record);
    this.#records.set({ ...record, init });
    life.madeAt = Date.now();
    log.info('local host runs', { host: record.name, address: record.address, pid: init.pid });
    this.#tell(life, 'running');
    await token;
  }

  /** Its record forgets the first process, so that its end is no death. */
  async #switchOff(hostId: string, life: Life): Promise<void> {
    const record = this.#records.get(hostId);
    if (record !== undefined) {
      await powerCut(this.#machine.home, record);
      const { init: _, ...rest } = record;
      this.#records.set(rest);
      this.#options.log.info('local host switched off', { host: record.name });
    }
    this.#tell(life, 'off');
  }

  /** @throws Error when it lived so short that the next one would do no better at once. */
  #noteDeath(record: LocalHostRecord, life: Life): void {
    const { init: _, ...rest } = record;
    this.#records.set(rest);
    const last = tailLog(`${hostFolder(this.#machine.home, record)}/var/log/rancher-init.log`, 3).join('; ');
    this.#options.log.warn('the first process of a local host is gone', { host: record.name, last });
    if (Date.now() - life.madeAt < shortLifeMs) throw new Error(`its first process ended at once: ${last}`);
    life.failures = 0;
  }

  async #register({ hostId, name, environmentId, network }: SliceLocalHost): Promise<LocalHostRecord> {
    const { home } = this.#machine;
    const bridge = await this.#ensureNetwork(network);
    const others = this.#records.all();
    const address = freeAddress(
      bridge.subnet,
      others.map((r) => r.address),
    );
    const folder = others.some((r) => r.folder === name)
      ? `${name}-${hostSuffix(address, bridge.index)}`
      : name;
    const record = { hostId, name, environmentId, folder, address, network };
    this.#records.set(record);
    // What is there is of a host that nobody knows any more.
    await run('rm', ['-rf', hostFolder(home, record)]);
    return record;
  }

  #lacksToken(hostId: string, life: Life): boolean {
    return (
      !hasJoined(this.#machine.home, this.#records.get(hostId)!) && Date.now() - life.tokenAt > newTokenMs
    );
  }

  async #bringToken(hostId: string, life: Life): Promise<void> {
    const { token } = await this.#options.ask<{ token: string }>({ method: 'localHostToken', hostId });
    life.tokenAt = Date.now();
    delete life.message;
    writeToken(this.#machine.home, this.#records.get(hostId)!, token);
  }

  async #remove(hostId: string, life: Life): Promise<void> {
    const { home } = this.#machine;
    const record = this.#records.get(hostId);
    if (record !== undefined) {
      this.#tell(life, 'removing');
      await powerCut(home, record);
      await run('rm', ['-rf', '--one-file-system', hostFolder(home, record)]);
      this.#records.delete(hostId);
      this.#options.log.info('local host removed', { host: record.name });
    }
    this.#lives.delete(hostId);
  }

  #tell(life: Life, state: Life['state']): void {
    life.state = state;
    delete life.message;
    this.#options.changed();
  }
}

function newLife(state: Life['state']): Life {
  return { state, failures: 0, retryAt: 0, tokenAt: 0, madeAt: 0, busy: false };
}
