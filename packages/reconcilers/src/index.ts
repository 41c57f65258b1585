export { changeEtcdMembers } from './change-etcd-members.ts';
export { checkEnvironment } from './check.ts';
export { type Cluster, createCluster } from './cluster.ts';
export type { Context, Log } from './context.ts';
export { reconcileEnvironment } from './environment.ts';
export {
  chooseSurvivor,
  type MemberAnswer,
  type RecoveryChoice,
  recordRecovery,
} from './etcd-recovery.ts';
export { advanceHostOperation } from './host-actions/advance.ts';
export type { DrainDetails, DrainOptions } from './host-actions/drain-options.ts';
export { recordSharedIdentity } from './host-identity.ts';
export {
  recordContact,
  recordDisconnect,
  recordFacts,
  recordHello,
  recordLocalHosts,
} from './hosts.ts';
export { type Recorded, recordInventory } from './inventory.ts';
export { type OperationKind, operationSteps } from './operations.ts';
export { askPeers } from './peers.ts';
export { type PreviewChange, previewPlan } from './preview.ts';
export { prune } from './prune.ts';
export { isWiping } from './removal.ts';
export { runtimeLabel } from './simulated.ts';
export { SpecCache } from './specs.ts';
export { sweep } from './sweep.ts';
export { ensureSystemStack, scaleOf, systemStackName } from './system-stack.ts';
export { loadWorld, type OperationStep, type World } from './world.ts';
