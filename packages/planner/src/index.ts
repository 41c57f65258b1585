export { backoffMs, remembered } from './backoff.ts';
export { type Brake, brakeOf } from './brake.ts';
export { startOrder } from './order.ts';
export { foundingMembers, hostLabels, type Placement, placeServices } from './placement/index.ts';
export { makePlan } from './plan.ts';
export { allows, type Member, quorumOf, type Step } from './quorum.ts';
export * from './types.ts';
export { exitWords, inWords, listWords } from './words.ts';
