/**
 * The port through which an agent runs instances. Adapters: `process` (the default) and `simulated` (for scale tests).
 * Every adapter passes the same suite, `conformance.ts`.
 *
 *     start ──► Run ──► exited            the agent restarts: adopt(id) ──► the same Run, or 'exited'
 *                └─ stop (signal, grace, SIGKILL)
 */
export interface Runtime {
  readonly name: RuntimeName;
  /**
   * Starts a program detached from the agent. Resolves once its process exists; a program that cannot be executed
   * exits at once with code 126 or 127 and says why in its log.
   * @throws Error when no process could be made, such as for want of memory or a log that cannot be opened.
   */
  start(request: StartRequest): Promise<Run>;
  /**
   * Takes up a run that was started before this agent: the run, `'exited'` when it ended meanwhile, undefined when this
   * boot of the host never started it.
   */
  adopt(id: string, logFile: string): Promise<Run | 'exited' | undefined>;
  /** Ids of every run that has a record, so that one that no plan wants any more can be found. */
  recorded(): Promise<string[]>;
  /** Drops the record of a run that has ended. Its log stays. */
  forget(id: string): Promise<void>;
  /** Stops watching. What runs goes on running. */
  close(): void;
}

export const runtimeNames = ['process', 'simulated'] as const;
export type RuntimeName = (typeof runtimeNames)[number];

export interface StartRequest {
  /** The instance. */
  id: string;
  command: string[];
  env: Record<string, string>;
  /** Standard output and error are appended here, straight by the program, so that they survive the agent. */
  logFile: string;
  /** Path below the root of every controller; must exist. Undefined: the agent's own. */
  cgroup?: string | undefined;
  oomScoreAdj: number;
  /** How often the agent has restarted it by itself so far; kept with the record. */
  restarts: number;
}

export interface Exit {
  /** Both null when the run was adopted: only a parent is told. */
  code: number | null;
  signal: string | null;
}

export interface Run {
  readonly id: string;
  /** As seen on the machine. */
  readonly pid: number;
  readonly startedAt: Date;
  readonly restarts: number;
  /** Undefined while it runs. */
  readonly exit: Exit | undefined;
  /** Settles when the main process has ended; never rejects. */
  readonly exited: Promise<Exit>;
  /**
   * Sends `signal`, and SIGKILL after `graceMs` (0: SIGKILL at once), to the main process alone: containerd's shims are
   * children that must outlive it. Resolves when it has ended.
   */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<Exit>;
  /** Whether it was stopped by a signal (SIGSTOP), which explains a probe without an answer. */
  frozen(): boolean;
}
