import { nodeArtifact } from '@rancher/artifacts';
import { type AgentPrograms, agentPaths } from '@rancher/contracts';
import { type ArtifactRef, programArtifact, programFile } from '@rancher/domain';
import type { Context } from '../context.ts';

export interface JoiningProgram {
  /** Path of its bytes on this server. */
  path: string;
  sha256: string;
}

const refs = () => [
  { ref: programArtifact('agent'), file: programFile('agent') },
  { ref: nodeArtifact(), file: 'node' },
];

/** The agent, and the Node that runs it. @throws DomainError `artifact_unavailable` where they are not built */
export async function joiningPrograms({ artifacts }: Context): Promise<[JoiningProgram, JoiningProgram]> {
  const programs = await Promise.all(
    refs().map(async ({ ref, file }) => {
      const { files } = await artifacts.ensure(ref);
      return { path: agentPaths.artifact(ref.name, ref.version, file), sha256: files[file]!.sha256 };
    }),
  );
  return programs as [JoiningProgram, JoiningProgram];
}

/** What installed agents are to be after an upgrade of this server; undefined where this process runs from source. */
export function agentPrograms(): AgentPrograms | undefined {
  const agent = programArtifact('agent');
  return agent.version === 'unbuilt' ? undefined : { agent, node: nodeArtifact() };
}

/** Whether it is what a machine needs before it has joined, so that a registration token opens it. */
export function isJoiningProgram({ name }: Pick<ArtifactRef, 'name'>): boolean {
  return refs().some(({ ref }) => ref.name === name);
}
