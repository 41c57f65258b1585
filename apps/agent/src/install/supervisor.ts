import { existsSync } from 'node:fs';
import { hasProgram } from '../facts.ts';
import { keeper } from './keeper.ts';
import { openrc } from './openrc.ts';
import { systemd } from './systemd.ts';

/** What keeps the agent running on a machine, and starts it again whatever ended it. */
export interface Supervisor {
  name: string;
  /** Starts the agent, or starts it anew with what is installed now. */
  start(): Promise<void>;
  /** Stops the agent and leaves nothing of the supervision; what the agent runs goes on. Idempotent. */
  remove(): Promise<void>;
  /** What does not come by itself, in words for the user; undefined = nothing. */
  caveat?: string;
}

export function supervisorOfThisMachine(): Supervisor {
  if (existsSync('/run/systemd/system')) return systemd;
  if (existsSync('/run/openrc/softlevel') && hasProgram('rc-service')) return openrc;
  return keeper;
}
